"""Find processes and file descriptors that remain after close (Linux)."""

import contextlib
import os
import time
from collections import Counter
from multiprocessing import resource_tracker
from pathlib import Path

from pufferlib import proc
from pufferlib.exceptions import ContractError

_GRACE_S = 20.0  # for a process that was asked to end


class ResourceSnapshot:
    """The file descriptors and child processes that exist at its creation, to compare with later.

    Without /proc (macOS) it finds none.
    """

    def __init__(self) -> None:
        resource_tracker.ensure_running()  # multiprocessing starts it once, and keeps it
        self._descriptors = _descriptors()
        self._before = _descendants()
        self._started: dict[int, str] = {}

    def note_started(self) -> None:
        """Record the processes started since the snapshot, while they run.

        The children of a worker are no longer descendants of this process when the worker has
        ended.
        """
        seen = _descendants()
        self._started |= {pid: seen[pid] for pid in seen.keys() - self._before.keys()}

    def check_released(self) -> None:
        """Check that processes started since have ended, and no more descriptors are open.

        Raises:
            ContractError: names the processes or descriptors that remain.
        """
        self.note_started()
        left = _living_after(self._started, _GRACE_S)
        if left:
            raise ContractError(
                f"After close, processes remain that did not exist before: "
                f"{', '.join(f'{name} ({pid})' for pid, name in left.items())}. End them in "
                f"close()."
            )
        now = _descriptors()
        if now.total() > self._descriptors.total():
            raise ContractError(
                f"After close, {now.total()} descriptors are open; before there were "
                f"{self._descriptors.total()}. New: {', '.join(now - self._descriptors)}. Close "
                f"them in close()."
            )


def _descriptors() -> "Counter[str]":
    """Return the files that this process has open, with the number of descriptors of each."""
    folder, found = Path("/proc/self/fd"), Counter[str]()
    for name in os.listdir(folder) if folder.exists() else ():
        with contextlib.suppress(FileNotFoundError):  # the descriptor of the listing itself
            found[os.readlink(folder / name)] += 1
    return found


def _descendants() -> dict[int, str]:
    """Return the ids and names of all descendants of this process, including zombies."""
    found = sorted(proc.descendants(), key=lambda process: process.pid)
    return {process.pid: process.name for process in found}


def _living_after(processes: dict[int, str], grace_s: float) -> dict[int, str]:
    """Wait up to `grace_s` for processes to end; return the ones that remain."""
    end_s = time.monotonic() + grace_s
    while True:
        left = {pid: name for pid, name in processes.items() if _is_there(pid)}
        if not left or time.monotonic() > end_s:
            return left
        # Polled: a pidfd reports that a process has ended, not that a thread has reaped it.
        time.sleep(0.01)


def _is_there(pid: int) -> bool:
    """Return whether a process runs, or is a zombie that this process has to reap."""
    process = proc.read(pid)
    return process is not None and (process.state not in "XZ" or process.parent == os.getpid())
