"""Draw a picture of every installed family."""

import dataclasses
import itertools
import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pufferlib import registry
from pufferlib.exceptions import ArgumentError, NotInstalledError
from pufferlib.runs.film import Episode, rendering
from pufferlib.runs.folder import make_folder
from pufferlib.runs.run import Run
from pufferlib.runs.video import as_frames

_STEP, _SEED = 25, 0  # of a game that is played at random
_MAX_WIDTH = 480


def draw_gallery(folder: Path, name: str | None = None) -> Iterator[tuple[str, str]]:
    """Write `<family>.png` for each installed family into `folder`.

    Args:
        folder: created if it does not exist.
        name: a family or a task, to draw that alone.

    Yields:
        The file and the task, or the family and why it cannot be drawn.

    Raises:
        NotInstalledError: there is no Pillow, or no `name`.
        ArgumentError: the folder cannot be created, or no environment has the name.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise NotInstalledError("Pictures need Pillow. Run: puffer install video") from error
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    tasks = registry.installed_samples() if name is None else _named(name)
    make_folder(folder, "--gallery")
    # A process for each: the display of one may leave the next without its own.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn, max_tasks_per_child=1) as pool:
        for family, task in tasks.items():
            try:
                image = Image.fromarray(pool.submit(_frame, task).result())
            except ArgumentError as error:
                yield family, str(error)
                continue
            if image.width > _MAX_WIDTH:
                height = round(image.height * _MAX_WIDTH / image.width)
                image = image.resize((_MAX_WIDTH, height))
            path = folder / f"{family}.png"
            image.quantize(256).save(path, optimize=True)
            yield str(path), task


def _named(name: str) -> dict[str, str]:
    """Return the task to draw of a family, or a task itself, by the name of its file."""
    source = registry.resolve(name)
    task = source.name
    if source.family is not None and name == source.family.name:
        task = source.family.samples[0]
    return {source.label if name == task else name: task}


def _frame(task: str) -> NDArray[np.uint8]:
    """Return a picture (height, width, 3) of a task, some steps into a game played at random."""
    run = Run.configure(task)
    kwargs = dict(run.config.env.kwargs)
    if run.source.family is None or run.source.family.package:  # ours take it as a number of games
        kwargs.pop("num_agents", None)
    env = dataclasses.replace(run.config.env, kwargs=kwargs)
    run, _ = rendering(dataclasses.replace(run, config=dataclasses.replace(run.config, env=env)))
    with closing(run.make_vecenv()) as vecenv:
        rendered = itertools.islice(Episode(vecenv, None, _SEED).frames(), _STEP)
        *_, frame = as_frames(rendered)
        return frame
