"""What runs a trial on a node of a Ray cluster, in a temporary folder there."""

import contextlib
import fcntl
import math
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from pufferlib.sweep.executor import Ending, LocalProcess, launch
from pufferlib.sweep.ray.files import Change, FolderReader, write_changes
from pufferlib.sweep.trial_files import LOG, ask_to_stop

Answer = tuple[Ending | None, list[Change]]

_POLL_S = 0.05
_CORES_S = 5.0  # until a trial that was killed has freed its cores


class TrialActor:
    """The process of a trial on this node. Ray calls one method at a time, in order."""

    _process: LocalProcess | None = None

    def begin(
        self, files: list[Change], num_cpus: float, environment: dict[str, str], cwd: str
    ) -> Answer:
        """Start the trial.

        Args:
            files: of its folder.
            num_cpus: that it takes; each whole one is a core that no other trial has,
                and with less than one it runs on all. So it does if too few are free, which its
                log says.
            environment: variables that its process gets in addition.
            cwd: where its process starts if this node has that folder.
        """
        self._folder, self._lock = make_trial_folder()
        with self._removed_on_error():
            write_changes(self._folder, files)
            self._reader = FolderReader(self._folder)
            self._reader.changes()  # the sweep has these
            count = math.floor(num_cpus)
            cores, self._core_locks = take_cores(count, _CORES_S)
            if len(cores) < count:
                with (self._folder / LOG).open("a") as log:
                    log.write(
                        f"Too few cores of this node are free to give this trial {count} of its "
                        f"own: it runs on all of them.\n"
                    )
            child = launch(self._folder, cores, environment, cwd if os.path.isdir(cwd) else None)
            self._process = LocalProcess(child, cores, lambda process: None)
        return None, []

    def report(self, wait_s: float, whole: list[str]) -> Answer:
        """Return how the trial has ended, None if it has not, and what is new in its folder.

        Args:
            wait_s: for its end.
            whole: names of files that are to be sent whole.
        """
        process = self._begun()
        with self._removed_on_error():
            self._reader.forget(whole)
            limit_s = time.monotonic() + wait_s
            while (ending := process.poll()) is None and time.monotonic() < limit_s:
                time.sleep(_POLL_S)
            changes = self._reader.changes()
        if ending is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        return ending, changes

    def interrupt(self, is_asked_to_stop: bool) -> None:
        """Ask the trial to save its state and end, or to score what it has reached first."""
        if is_asked_to_stop:
            ask_to_stop(self._folder)
        self._begun().interrupt()

    def kill(self) -> None:
        """End the trial at once."""
        self._begun().kill()

    def _begun(self) -> LocalProcess:
        assert self._process is not None
        return self._process

    @contextlib.contextmanager
    def _removed_on_error(self) -> Iterator[None]:
        """End the trial and remove its folder if it cannot be started or watched."""
        try:
            yield
        except BaseException:
            if self._process is not None:
                self._process.kill()
            shutil.rmtree(self._folder, ignore_errors=True)
            raise


def make_trial_folder() -> tuple[Path, int]:
    """Return a temporary folder, and a descriptor of it that is locked while this process lives.

    Folders of actors that were killed, whose locks are free, are removed.
    """
    parent, prefix = Path(tempfile.gettempdir()), f"pufferlib-trial-{os.getuid()}-"
    with (parent / f"pufferlib-trials-{os.getuid()}").open("a") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)  # a new folder is not locked at once
        for folder in parent.glob(f"{prefix}*"):
            with contextlib.suppress(OSError):
                lock = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW)
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(folder, ignore_errors=True)
                finally:
                    os.close(lock)
        folder = Path(tempfile.mkdtemp(prefix=prefix))
        lock = os.open(folder, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
        return folder, lock


def take_cores(count: int, wait_s: float = 0.0) -> tuple[tuple[int, ...], list[TextIO]]:
    """Return cores that no other trial on this node has, and their locks; () if too few are free.

    A lock file for each core says that it is taken; its process's end, however it comes, frees it.

    Args:
        count: of cores.
        wait_s: for trials to free theirs: one that was killed has them until its process ends.
    """
    usable = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    limit_s = time.monotonic() + wait_s
    while True:
        taken = _lock_cores(usable, count)
        if len(taken) == count:
            return tuple(taken), list(taken.values())
        for lock in taken.values():
            lock.close()
        if count > len(usable) or time.monotonic() >= limit_s:
            return (), []
        time.sleep(_POLL_S)


def _lock_cores(usable: list[int], count: int) -> dict[int, TextIO]:
    """Return the locks of so many free cores at most."""
    taken: dict[int, TextIO] = {}
    for core in usable:
        if len(taken) < count:
            path = Path(tempfile.gettempdir(), f"pufferlib-core-{os.getuid()}-{core}")
            file: TextIO = path.open("a")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                file.close()
            else:
                taken[core] = file
    return taken
