"""Train one configuration with several seeds: a folder of runs, `seed-1`, `seed-2`, ..."""

import contextlib
import dataclasses
import json
import math
import os
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console

from pufferlib import config as presets
from pufferlib.exceptions import ArgumentError, CheckpointError
from pufferlib.runs import folder as run_folder
from pufferlib.runs.provenance import origin
from pufferlib.runs.run import Run
from pufferlib.runs.settings import Overrides
from pufferlib.training import checkpoint
from pufferlib.training.config import MAX_SEED
from pufferlib.training.loggers import read_metrics, write_json

_INIT = "init.pt"  # the checkpoint that all runs start from
# The 97.5% quantile of Student's t with 1, 2, ... degrees of freedom.
_T_QUANTILES = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)


def configure_seeds(run: Run, count: int) -> list[Run]:
    """Return `count` runs that differ in their seed and folder; the first has the seed of `run`.

    Raises:
        ArgumentError: fewer than two; several processes; the folder holds a run or runs already.
    """
    if count < 2:
        raise ArgumentError(
            f"--seeds must be at least 2, the number of runs; got {count}. The seed of one run is "
            f"--train.seed."
        )
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ArgumentError(
            "--seeds trains in one process. Leave it out, or start without torchrun."
        )
    first = run.config.train.seed
    if first + count - 1 > MAX_SEED:
        raise ArgumentError(
            f"--seeds {count} from {first} on ends above {MAX_SEED}. Lower --train.seed."
        )
    folder = run.config.run or run_folder.new_folder(run.source.label)
    if is_group(folder) or (folder / run_folder.CONFIG).exists():
        raise ArgumentError(
            f"{folder} already holds a run. Continue it with --resume {folder}, or name another "
            f"folder with --run."
        )
    runs = [_with_seed(run, seed, folder) for seed in range(first, first + count)]
    for taken in (one.config.run for one in runs):
        if taken is not None and (taken / run_folder.CONFIG).exists():
            raise ArgumentError(
                f"{taken} already holds a run, which is not of this group. Name another folder "
                f"with --run."
            )
    return runs


def open_seeds(folder: Path, overrides: Overrides, env: str | None = None) -> list[Run]:
    """Return the runs of a folder, to resume; those that have not begun are new runs.

    Raises:
        ArgumentError: none has begun, or the overrides name a folder.
        CheckpointError, SettingError, UnknownNameError: see `Run.open`.
    """
    if "run" in overrides:
        raise ArgumentError(f"The runs in {folder} continue there. Leave run out.")
    begun = members(folder)
    if not begun:
        raise ArgumentError(f"No run in {folder} has begun. Start them without --resume.")
    opened = {run.config.train.seed: run for run in (Run.open(m, overrides, env) for m in begun)}
    one = next(iter(opened.values()))
    facts, init = run_folder.read_facts(begun[0]), folder / _INIT
    if "init" in facts and not init.exists():  # it was deleted
        init = Path(facts["init"]["checkpoint"])
    new = dataclasses.replace(one, resumes=False, init=init if "init" in facts else None)
    return [
        opened[seed] if seed in opened else _with_seed(new, seed, folder)
        for seed in _seeds_of(folder)
    ]


def train_seeds(runs: Sequence[Run], console: Console, profile: bool = False) -> Iterator[Path]:
    """Train the runs of one folder one after another; yield the latest checkpoint of each.

    They start from one copy of the checkpoint `init`, if there is one. An error or Ctrl+C ends them
    all; what has been trained is kept. Raises as `pufferlib.runs.train`.
    """
    folders = [run.config.run for run in runs]
    group = next(folder.parent for folder in folders if folder is not None)
    runs[0].check_init()
    run_folder.make_folder(group, "--run")
    try:
        write_json(group / run_folder.GROUP, {"seeds": [run.config.train.seed for run in runs]})
        runs = _with_copied_init(runs, group / _INIT)
        for number, run in enumerate(runs, 1):
            console.print(
                f"Seed {run.config.train.seed}, {number} of {len(runs)}: {run.config.run}",
                highlight=False,
                soft_wrap=True,
            )
            yield run.train(console, profile)
    finally:
        if not members(group):  # a setting was refused
            for name in (run_folder.GROUP, _INIT):
                (group / name).unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # other files are in it
                group.rmdir()


def is_group(folder: Path) -> bool:
    """Return whether a folder holds runs that differ in their seed."""
    return (folder / run_folder.GROUP).is_file()


def members(folder: Path) -> list[Path]:
    """Return the folders of the runs that have begun, in the order of their seeds.

    Raises:
        CheckpointError: the file that lists them is damaged.
    """
    found = [folder / f"seed-{seed}" for seed in _seeds_of(folder)]
    return [path for path in found if (path / run_folder.CONFIG).is_file()]


def score(folder: Path) -> float | None:
    """Return the mean return of the last hundred episodes of a run; None if none has ended.

    Raises:
        CheckpointError: its metrics are damaged.
    """
    metrics = read_metrics(folder)
    returned = metrics[-1].get("episode/episode_return") if metrics else None
    return None if returned is None else float(returned)


def mean_interval(scores: Sequence[float]) -> tuple[float, float, float]:
    """Return the mean of independent scores and its 95% interval, by Student's t distribution.

    >>> mean_interval([1.0, 2.0, 3.0])  # 2 +- 4.303 * 1 / sqrt(3)
    (2.0, -0.48..., 4.48...)
    """
    mean, count = statistics.fmean(scores), len(scores)
    if count < 2:
        return mean, math.nan, math.nan
    half = _t_quantile(count - 1) * statistics.stdev(scores) / math.sqrt(count)
    return mean, mean - half, mean + half


def _t_quantile(degrees: int) -> float:
    """Return the 97.5% quantile of Student's t.

    Beyond the table by the expansion of Cornish and Fisher (Abramowitz and Stegun 1964, 26.7.5).
    """
    if degrees <= len(_T_QUANTILES):
        return _T_QUANTILES[degrees - 1]
    z = statistics.NormalDist().inv_cdf(0.975)
    return z + (z**3 + z) / (4 * degrees) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * degrees**2)


def _with_seed(run: Run, seed: int, folder: Path) -> Run:
    train = dataclasses.replace(run.config.train, seed=seed)
    config = dataclasses.replace(run.config, train=train, run=folder / f"seed-{seed}")
    return dataclasses.replace(run, config=config)


def _with_copied_init(runs: Sequence[Run], path: Path) -> list[Run]:
    """Return the runs with a copy of their `init`, which may change before their turn comes."""
    init = next((run.init for run in runs if run.init is not None), None)
    if init is None:
        return list(runs)
    if init != path:
        settings = presets.as_json(run_folder.read_config(run_folder.locate(init)[0]))
        state = {**checkpoint.load(init), "config": settings, "origin": origin(init)}
        checkpoint.save(path, state)
    return [run if run.init is None else dataclasses.replace(run, init=path) for run in runs]


def _seeds_of(folder: Path) -> list[int]:
    path = folder / run_folder.GROUP
    try:
        return [int(seed) for seed in json.loads(path.read_text())["seeds"]]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise CheckpointError(f"{path} cannot be read as a list of seeds: {error!r}.") from error
