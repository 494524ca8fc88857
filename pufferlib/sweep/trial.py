"""The process of a trial: `python -m pufferlib.sweep.trial FOLDER PARENT CORES`.

It trains as `trial.json` in FOLDER says, evaluates, and writes `result.json`. On SIGTERM it saves a
checkpoint and ends; started again it resumes. If the sweep has asked it to stop, it evaluates what
it has reached first. It ends with its parent, however that ends.

Modules that take long to load are imported in functions: first the process takes its place among
the others.
"""

import contextlib
import dataclasses
import errno
import fcntl
import math
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from pufferlib import proc
from pufferlib.exceptions import ArgumentError, NotFiniteError
from pufferlib.sweep.trial_files import is_asked_to_stop, is_scoring, note_phase

if TYPE_CHECKING:
    from pufferlib.runs import Run
    from pufferlib.sweep.trial_folder import SeedResult, TrialResult, TrialSpec

INTERRUPTED = 75  # exit status: to be resumed (EX_TEMPFAIL of sysexits.h)
DISK_FULL = 74  # exit status: the result could not be written (EX_IOERR)
_REASON_LENGTH = 300
_LOCK = ".trial"


def main(folder: Path, parent: int, cores: set[int]) -> int:
    """Run the trial in a folder; return the exit status.

    Args:
        folder: of the trial, with its `trial.json`.
        parent: id of the sweep's process.
        cores: that this process and those that it starts may use; empty: all.
    """
    if not proc.end_with_parent(parent):
        return INTERRUPTED
    proc.adopt_orphans()
    if cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)
    try:
        with _alone(folder), _sigterm_as_interrupt(folder):
            return _run_and_write(folder)
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        proc.kill(proc.descendants())


def _run_and_write(folder: Path) -> int:
    from pufferlib.sweep.trial_folder import TrialResult, TrialSpec

    if TrialResult.read(folder) is not None:  # its sweep was killed before it could keep it
        return 0
    try:
        result = _run(folder, TrialSpec.read(folder))
    except Exception as error:  # whatever a trial raises is its result
        traceback.print_exc()
        refused = isinstance(error, ArgumentError)
        result = TrialResult([], reason=reason_of(error), is_refused=refused)
    try:
        result.write(folder)
    except Exception:
        traceback.print_exc()
        return DISK_FULL
    return 0


def _run(folder: Path, spec: "TrialSpec") -> "TrialResult":
    """Train and evaluate with each seed.

    Raises:
        KeyboardInterrupt: the trial is to be resumed later.
    """
    from pufferlib.sweep.trial_folder import TrialResult

    runs: list[SeedResult] = []
    for seed in spec.seeds:
        note_phase(folder, is_scoring=False)  # from here on SIGTERM is heard
        if runs and is_asked_to_stop(folder):
            return TrialResult(runs, stopped_early=True)
        try:
            result, is_whole = _train_and_score(folder, spec, seed)
        except KeyboardInterrupt:
            if runs and is_asked_to_stop(folder):
                return TrialResult(runs, stopped_early=True)
            raise
        runs.append(result)
        if not is_whole:
            return TrialResult(runs, stopped_early=True)
    return TrialResult(runs)


def _train_and_score(folder: Path, spec: "TrialSpec", seed: int) -> "tuple[SeedResult, bool]":
    """Train a run and evaluate it; return the result, and whether it was trained to its end."""
    from rich.console import Console

    from pufferlib.runs.evaluation import compare
    from pufferlib.runs.folder import CHECKPOINT
    from pufferlib.sweep.trial_folder import SeedResult
    from pufferlib.training import checkpoint

    run = _make_run(spec, spec.run_folder(folder, seed), seed)
    assert run.config.run is not None
    path = run.config.run / CHECKPOINT
    is_first = seed == spec.seeds[0]  # part of another is left out: it would count as a whole one
    is_whole = not (is_first and run.resumes and is_asked_to_stop(folder))
    if is_whole:
        try:
            run.train(Console(width=100))
        except KeyboardInterrupt:
            if not (is_first and is_asked_to_stop(folder) and path.exists()):
                raise
            is_whole = False
    note_phase(folder, is_scoring=True)
    begin_s = time.monotonic()
    played = compare(run, path, spec.episodes, spec.first_seed, (spec.kind,))[spec.kind]
    if not math.isfinite(played.mean):
        raise NotFiniteError(f"The mean return of the evaluation is {played.mean}")
    low, high = played.interval()
    state = checkpoint.load(path)
    result = SeedResult(
        score=played.mean,
        low=low,
        high=high,
        cpu_s=state["evaluation"]["cpu_s"],
        wall_s=state["seconds"] + time.monotonic() - begin_s,
        timesteps=state["timesteps"],
    )
    return result, is_whole or result.timesteps >= run.config.train.total_timesteps


def _make_run(spec: "TrialSpec", folder: Path, seed: int) -> "Run":
    """Return the run of one seed: a new one, or the one in the folder."""
    from pufferlib import config as presets
    from pufferlib import registry
    from pufferlib.runs import Run
    from pufferlib.runs.folder import CONFIG

    if (folder / CONFIG).exists():
        run = Run.open(folder)
        return dataclasses.replace(run, given=frozenset(spec.given))
    config = presets.from_json(spec.config, str(folder))
    train = dataclasses.replace(config.train, seed=seed)
    config = dataclasses.replace(config, train=train, run=folder)
    return Run(config, registry.resolve(config.env.task), given=frozenset(spec.given))


def reason_of(error: BaseException) -> str:
    """Return why a trial failed, in a few words."""
    import torch

    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in causes:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    if any(isinstance(each, OSError) and each.errno == errno.ENOSPC for each in causes):
        return "disk full"
    if any(isinstance(each, MemoryError | torch.OutOfMemoryError) for each in causes):
        return "out of memory"
    if any(isinstance(each, OSError) and each.errno == errno.ENOMEM for each in causes):
        return "out of memory"
    if any(isinstance(each, NotFiniteError) for each in causes):
        return "diverged"
    text = (str(error).strip().splitlines() or [""])[0][:_REASON_LENGTH]
    return f"{type(error).__name__}: {text}".removesuffix(": ")


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait until no other process works in the folder, such as one whose sweep was just killed."""
    with (folder / _LOCK).open("a") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _sigterm_as_interrupt(folder: Path) -> Iterator[None]:
    """Handle SIGTERM like Ctrl+C, unless the trial is asked to stop and past its training."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        if not (is_asked_to_stop(folder) and is_scoring(folder)):
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


if __name__ == "__main__":
    folder, parent, cores = sys.argv[1:]
    numbers = {int(core) for core in cores.split(",") if core}
    sys.exit(main(Path(folder), int(parent), numbers))
