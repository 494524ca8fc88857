"""The folder of a run: who trains in it, and what is kept there."""

import contextlib
import fcntl
import json
import math
import os
import signal
import time
import uuid
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from pufferlib import config as presets
from pufferlib.config import Config
from pufferlib.exceptions import ArgumentError, CheckpointError, SettingError
from pufferlib.ppo import Trainer, checkpoint
from pufferlib.ppo.logger import write_json

CHECKPOINT = "checkpoint.pt"
BEST = "best.pt"
CONFIG = "config.json"
RUNS = Path("runs")
_FACTS = "run.json"
_LOCK = ".lock"


class Keeper:
    """Keeps two checkpoints of a run, and nothing else.

    `checkpoint.pt` is the latest. `best.pt` is the one whose last hundred episodes, fewer at first,
    had the highest mean return of all that were saved.

    Args:
        folder: of the run.
        trainer: whose state is kept.
        config: kept beside the weights.

    Attributes:
        path: of the latest.
    """

    def __init__(self, folder: Path, trainer: Trainer, config: Config) -> None:
        self.path = folder / CHECKPOINT
        self._best_path = folder / BEST
        self._trainer = trainer
        self._about = {"config": presets.as_json(config), "version": version("pufferlib")}
        self._best_return = -math.inf
        if self._best_path.exists():
            self._best_return = checkpoint.load(self._best_path)["episode_return"]

    def save(self) -> None:
        """Save the latest, and the best where this is it; Ctrl+C and SIGTERM wait meanwhile.

        Raises:
            CheckpointError: it could not be written; the earlier ones are whole.
        """
        returned = self._trainer.episodes.means().get("episode_return")
        state = {**self._trainer.state_dict(), **self._about, "episode_return": returned}
        with undisturbed():  # torch takes an interrupt while it writes for a failed disk
            checkpoint.save(self.path, state)
            if returned is not None and returned > self._best_return:
                checkpoint.save(self._best_path, state)
                self._best_return = returned

    def save_last(self) -> bool:
        """Save where training ended; return False if the checkpoint before it was better left.

        That is where an update failed midway, where weights are no numbers any more, and where an
        interrupted run is to be resumed exactly, which it can be from where it would have saved
        anyway.
        """
        trainer = self._trainer
        if trainer.is_amid_update:
            return False
        is_sound = all(bool(torch.isfinite(w).all()) for w in trainer.policy.parameters())
        if not is_sound or (trainer.config.exact_resume and not trainer.is_done):
            return False
        self.save()
        return True


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Let Ctrl+C and SIGTERM wait for what must be done as a whole."""
    held: list[int] = []

    def hold(number: int, frame: FrameType | None) -> None:
        held.append(number)

    before = {number: signal.signal(number, hold) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if held:  # also where what it waited for failed, as it does when another process has gone
            signal.raise_signal(held[0])


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Make `folder`, and let no other process train in it meanwhile.

    The system takes the lock back however this process ends. Workers, forked or not, never have it:
    it is POSIX's, of one process, where flock's would be theirs too.

    Raises:
        ArgumentError: another process has it, or it cannot be made.
    """
    make_folder(folder, "--run")
    with (folder / _LOCK).open("a+") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:
            file.seek(0)
            raise ArgumentError(
                f"{folder} is in use: process {file.read().strip() or '?'} trains in it. Wait for "
                f"its end, or name another folder with --run."
            ) from error
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        for litter in folder.glob(".*.pt.*"):  # a kill while a checkpoint was written
            litter.unlink()
        try:
            yield
        finally:
            if os.listdir(folder) == [_LOCK]:  # nothing came of it
                (folder / _LOCK).unlink()
                folder.rmdir()


def write_facts(folder: Path, facts: dict[str, Any]) -> str:
    """Write what the run is made with, or, resumed, goes on with; return the run's id.

    Raises:
        CheckpointError: see `read_facts`.
        LogError: they could not be written.
    """
    known = read_facts(folder)
    if known:
        known.setdefault("resumed", []).append(facts)
    else:
        known = {"id": uuid.uuid4().hex[:12], **facts}
    write_json(folder / _FACTS, known)
    return str(known["id"])


def read_facts(folder: Path) -> dict[str, Any]:
    """Return what a run was made with; nothing if that was not written.

    Raises:
        CheckpointError: it is damaged.
    """
    path = folder / _FACTS
    if not path.exists():
        return {}
    what = "what the run was made with"
    facts = _read_object(path, what)
    if "id" not in facts:
        raise CheckpointError(
            f"{path} cannot be read as {what}: it has no id. Mend it, or take it away."
        )
    return facts


def new_folder(task: str) -> Path:
    """Return where a run of `task` that begins now goes."""
    return RUNS / f"{task.replace('/', '-')}-{time.strftime('%Y%m%d-%H%M%S')}"


def latest_checkpoint(task: str, folder: Path = RUNS) -> Path | None:
    """Return the checkpoint written last of all runs of `task` in `folder`."""
    found = []
    for path in folder.glob(f"*/{CHECKPOINT}"):
        with contextlib.suppress(CheckpointError, SettingError):  # damaged, or of another version
            if read_config(path.parent).env.task == task:
                found.append(path)
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


def latest_run(task: str, folder: Path = RUNS) -> Path:
    """Return the folder of the run of `task` that saved last.

    Raises:
        ArgumentError: there is none.
    """
    path = latest_checkpoint(task, folder)
    if path is None:
        raise ArgumentError(
            f"There is no run of {task} in {folder}/ to go on with. Name its folder with --resume "
            f"RUN, or begin one by leaving --resume out."
        )
    return path.parent


def read_config(folder: Path) -> Config:
    """Return the settings that a run was made with.

    Raises:
        CheckpointError: `folder` is not that of a run, or its settings are damaged.
        SettingError: another version wrote it.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise CheckpointError(f"{folder} is not the folder of a run: it has no {CONFIG}.")
    return presets.from_json(_read_object(path, "settings"), str(path))


def _read_object(path: Path, what: str) -> dict[str, Any]:
    """Return the object that a file of JSON holds; `what` is said of it in the error.

    Raises:
        CheckpointError: it holds none.
    """
    try:
        values = json.loads(path.read_text())
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or not JSON
        raise CheckpointError(f"{path} cannot be read as {what}: {error}.") from error
    if not isinstance(values, dict):
        raise CheckpointError(
            f"{path} cannot be read as {what}: it holds no object but {type(values).__name__}."
        )
    return values


def make_folder(folder: Path, flag: str) -> None:
    """Make `folder` if it is not there.

    Raises:
        ArgumentError: it cannot be made; says to name another with `flag`.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArgumentError(
            f"{folder} cannot be made: {error.strerror}. Name another folder with {flag}."
        ) from error
