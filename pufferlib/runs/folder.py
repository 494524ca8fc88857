"""The folder of a run: its files, and the lock of the process that trains."""

import contextlib
import fcntl
import itertools
import json
import os
import signal
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

from pufferlib import config as presets
from pufferlib.annotations import JsonObject
from pufferlib.config import Config
from pufferlib.exceptions import ArgumentError, CheckpointError, UnknownNameError
from pufferlib.registry import same_source
from pufferlib.training import checkpoint
from pufferlib.training.loggers import write_json

CHECKPOINT = "checkpoint.pt"
BEST = "best.pt"
CONFIG = "config.json"
GROUP = "seeds.json"  # in a folder of runs that differ in their seed
RUNS = Path("runs")
_FACTS = "run.json"
_LOCK = ".lock"


class DeferredSignals:
    """Remembers Ctrl+C and SIGTERM for later. In the main thread, which alone handles signals."""

    def __init__(self) -> None:
        self._is_main_thread = threading.current_thread() is threading.main_thread()
        self._deferred: list[int] = []
        self._before: dict[int, Any] = {}

    def begin(self) -> None:
        """Defer signals from here on."""
        for number in (signal.SIGINT, signal.SIGTERM) if self._is_main_thread else ():
            self._before[number] = signal.signal(number, self._defer)

    def end(self) -> None:
        """Handle signals as before again, the first of those that were deferred at once."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._deferred:
            number = self._deferred[0]
            self._deferred.clear()
            signal.raise_signal(number)

    @contextlib.contextmanager
    def suspended(self) -> Iterator[None]:
        """Handle signals as before in this block."""
        self.end()
        try:
            yield
        finally:
            self.begin()

    def _defer(self, number: int, frame: FrameType | None) -> None:
        self._deferred.append(number)


@contextlib.contextmanager
def defer_signals() -> Iterator[DeferredSignals]:
    """Defer Ctrl+C and SIGTERM until the end of this block, which must not be interrupted."""
    signals = DeferredSignals()
    signals.begin()
    try:
        yield signals
    finally:
        signals.end()  # also if the block failed, as it does when another process has ended


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Create `folder`, and prevent other processes from training in it.

    The system releases the lock however this process ends. A POSIX lock belongs to one process, so
    workers never have it; with flock, forked workers would.

    Raises:
        ArgumentError: another process trains in it, or the folder cannot be created, written to or
            locked.
    """
    created = [path for path in (folder, *folder.parents) if not path.exists()]
    make_folder(folder, "--run")
    with _lock_file(folder):
        try:
            yield
        finally:
            with contextlib.suppress(OSError):  # the folder was deleted, or one above is in use
                if os.listdir(folder) == [_LOCK]:  # training did not start
                    (folder / _LOCK).unlink()
                    for path in created or [folder]:
                        path.rmdir()


def _lock_file(folder: Path) -> TextIO:
    """Return the lock file of `folder`, open, locked and with the id of this process.

    Also deletes checkpoints that a killed process left unfinished.

    Raises:
        ArgumentError: see `locked`.
    """
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context((folder / _LOCK).open("a+"))
            _lock(file, folder)
            file.truncate(0)
            file.write(f"{os.getpid()}\n")
            file.flush()
            for unfinished in folder.glob(".*.pt.*"):
                unfinished.unlink()
        except OSError as error:
            raise ArgumentError(
                f"{error.filename or folder / _LOCK} cannot be written: {error.strerror}. Make the "
                f"folder writable, or name another with --run."
            ) from error
        stack.pop_all()
    return file


def _lock(file: TextIO, folder: Path) -> None:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError) as error:
        file.seek(0)
        raise ArgumentError(
            f"{folder} is in use: process {file.read().strip() or '?'} trains in it. Wait for "
            f"it to end, or name another folder with --run."
        ) from error


def write_facts(folder: Path, facts: JsonObject) -> str:
    """Write the provenance of the run, or of its resumption; return the run's id.

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


def read_facts(folder: Path) -> JsonObject:
    """Return the provenance of a run; {} if it was not written.

    Raises:
        CheckpointError: it is damaged.
    """
    path = folder / _FACTS
    if not path.exists():
        return {}
    what = "the provenance of a run"
    facts = _read_object(path, what)
    if "id" not in facts:
        raise CheckpointError(
            f"{path} cannot be read as {what}: it has no id. Fix it, or delete it."
        )
    return facts


def new_folder(label: str) -> Path:
    """Return the folder for a run of the environment `label` that starts now."""
    first = RUNS / f"{label}-{time.strftime('%Y%m%d-%H%M%S')}"
    others = (first.with_name(f"{first.name}-{count}") for count in itertools.count(2))
    return next(path for path in (first, *itertools.islice(others, 1000)) if not path.exists())


def latest_checkpoint(task: str, folder: Path = RUNS) -> Path | None:
    """Return the latest checkpoint of all runs of `task` in `folder`, None if they have none."""
    found = []
    for path in (*folder.glob(f"*/{CHECKPOINT}"), *folder.glob(f"*/seed-*/{CHECKPOINT}")):
        with contextlib.suppress(CheckpointError):  # damaged
            if same_source(read_task(path.parent), task):
                found.append(path)
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


def latest_run(task: str, folder: Path = RUNS) -> Path:
    """Return the folder of the run of `task` that has the latest checkpoint.

    Raises:
        ArgumentError: there is none.
    """
    path = latest_checkpoint(task, folder)
    if path is None:
        raise ArgumentError(
            f"There is no run of {task} in {folder}/ to resume. Name its folder with --resume RUN, "
            f"or start one by leaving --resume out."
        )
    return path.parent


def locate(run: Path, checkpoint: str = CHECKPOINT) -> tuple[Path, Path]:
    """Return what has the settings of a run, and a checkpoint of it; neither needs to exist.

    Args:
        run: folder of the run, or a checkpoint, in its folder or alone.
        checkpoint: which, if `run` is a folder.
    """
    path = run if run.is_file() else run / checkpoint
    return (path.parent if (path.parent / CONFIG).exists() else run), path


def read_task(folder: Path) -> str:
    """Return the environment of the run in `folder`; its other settings may be unreadable here.

    Raises:
        CheckpointError: `folder` is neither that of a run nor a checkpoint, or its settings are
            damaged.
    """
    source, values = read_settings(folder)
    env = values.get("env")
    task = env.get("task") if isinstance(env, dict) else None
    if not isinstance(task, str):
        raise CheckpointError(f"{source} cannot be read as settings: it has no env.task.")
    return task


def read_config(folder: Path, algorithm: str | None = None) -> Config:
    """Return the settings of the run in `folder`.

    Args:
        folder: of the run, or a checkpoint of it, which contains the settings, too.
        algorithm: where the file of the run's algorithm is now; None: where the run says. A file
            of another name is ignored.

    Raises:
        CheckpointError: `folder` is neither that of a run nor a checkpoint, or its settings are
            damaged.
        SettingError: another version wrote it.
        UnknownNameError: the file or module of the algorithm is missing.
    """
    source, values = read_settings(folder)
    own = values.get("algorithm")
    if algorithm is not None and isinstance(own, str) and same_source(own, algorithm):
        values = {**values, "algorithm": algorithm}
    try:
        return presets.from_json(values, source)
    except UnknownNameError as error:
        raise UnknownNameError(
            f"{error} The run {folder} was made with the algorithm {own}. If its file was moved, "
            f"name it with --algorithm."
        ) from error


def read_settings(folder: Path) -> tuple[str, JsonObject]:
    """Return where the settings of a run are, for errors, and the settings.

    Raises:
        CheckpointError: see `read_task`.
    """
    path = folder / CONFIG
    try:
        if folder.is_file():
            return f"the settings in {folder}", _settings_of(folder)
        is_run = path.is_file()
    except OSError as error:  # a name that is too long, or a folder that may not be read
        raise CheckpointError(
            f"{folder} cannot be read as the folder of a run: {error.strerror}. Name another."
        ) from error
    if not is_run:
        refuse_group(folder)
        raise CheckpointError(f"{folder} is not the folder of a run: it has no {CONFIG}.")
    return str(path), _read_object(path, "settings")


def refuse_group(folder: Path) -> None:
    """Refuse a folder of runs that differ in their seed where one run is needed.

    Raises:
        CheckpointError: names the runs in it.
    """
    if not (folder / GROUP).is_file():
        return
    found = sorted(folder.glob(f"seed-*/{CONFIG}"), key=lambda p: (len(p.parent.name), p))
    names = ", ".join(str(path.parent) for path in found)
    advice = f"Name one of them: {names}." if names else "None of them has begun."
    raise CheckpointError(f"{folder} is a group of runs. {advice}")


def _settings_of(path: Path) -> JsonObject:
    """Return the settings in a checkpoint of `runs.checkpoints`."""
    values = checkpoint.load(path).get("config")
    if not isinstance(values, dict):
        raise CheckpointError(
            f"{path} does not contain the settings of a run, as Trainer.save leaves them out. Put "
            f"it into the folder of its run, next to {CONFIG}."
        )
    return values


def _read_object(path: Path, what: str) -> JsonObject:
    """Return the object in a JSON file; `what` names its contents in the error.

    Raises:
        CheckpointError: it does not contain one.
    """
    try:
        values = json.loads(path.read_text())
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or not JSON
        raise CheckpointError(f"{path} cannot be read as {what}: {error}.") from error
    if not isinstance(values, dict):
        raise CheckpointError(
            f"{path} cannot be read as {what}: it contains {type(values).__name__}, not an object."
        )
    return values


def make_folder(folder: Path, flag: str) -> None:
    """Create `folder` if it does not exist.

    Raises:
        ArgumentError: it cannot be created; says to name another with `flag`.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArgumentError(
            f"{folder} cannot be created: {error.strerror}. Name another folder with {flag}."
        ) from error
