"""`puffer envs --gallery`: a picture of every family that is installed."""

import itertools
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from pufferlib import config as presets
from pufferlib import registry
from pufferlib.cli.envs import installed_samples
from pufferlib.cli.film import Episode, rendering
from pufferlib.cli.run import make_vecenv
from pufferlib.cli.run_folder import make_folder
from pufferlib.cli.video import as_frames
from pufferlib.config import EnvConfig
from pufferlib.exceptions import ArgumentError, NotInstalledError

_STEP, _SEED = 25, 0  # of a game that is played at random
_MOST_WIDTH = 480


def draw_gallery(folder: Path, name: str | None = None) -> int:
    """Write `<family>.png` for each installed family into `folder`; say what cannot be drawn.

    Args:
        folder: made if it is not there.
        name: a family or a task, to draw that alone.

    Raises:
        NotInstalledError: there is no Pillow, or no `name`.
        ArgumentError: the folder cannot be made, or no environment has the name.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise NotInstalledError("Pictures need Pillow. Run: puffer install video") from error
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    console = Console(highlight=False, soft_wrap=True)
    tasks = installed_samples() if name is None else _named(name)
    make_folder(folder, "--gallery")
    # A process for each: what draws one may have left what draws the next without its screen.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn, max_tasks_per_child=1) as pool:
        for family, task in tasks.items():
            try:
                image = Image.fromarray(pool.submit(_frame, task).result())
            except ArgumentError as error:
                console.print(f"{family}: {error}")
                continue
            if image.width > _MOST_WIDTH:
                height = round(image.height * _MOST_WIDTH / image.width)
                image = image.resize((_MOST_WIDTH, height))
            path = folder / f"{family}.png"
            image.quantize(256).save(path, optimize=True)
            console.print(f"{path}  {task}")
    return 0


def _named(name: str) -> dict[str, str]:
    """Return the task to draw of a family, or a task itself, by what its file is named."""
    module, task = registry.resolve(name)
    if name == module.FAMILY.name:
        task = module.FAMILY.samples[0]
    return {name.replace("/", "-"): task}


def _frame(task: str) -> NDArray[np.uint8]:
    """Return a picture (height, width, 3) of a task, some steps into a game played at random."""
    module, _ = registry.resolve(task)
    preset = presets.load([module.FAMILY.name, task]).env.kwargs
    kwargs = dict(preset)
    if module.FAMILY.package:  # of ours it says how many games there are
        kwargs.pop("num_agents", None)
    config, _ = rendering(presets.Config(env=EnvConfig(task, kwargs)))
    with closing(make_vecenv(config, module)) as vecenv:
        rendered = itertools.islice(Episode(vecenv, None, _SEED).frames(), _STEP)
        *_, frame = as_frames(rendered)
        return frame
