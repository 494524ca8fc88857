"""What this process holds, and whether all that came with a vectorizer goes with it (Linux)."""

import contextlib
import os
import time
from collections import Counter
from multiprocessing import resource_tracker
from pathlib import Path

from pufferlib.exceptions import ContractError

_PROC = Path("/proc")
_GRACE_S = 5.0  # for a process that was told to end


class Held:
    """The descriptors and processes that are there before something is made.

    Without /proc (macOS) none are seen.
    """

    def __init__(self) -> None:
        resource_tracker.ensure_running()  # which multiprocessing starts once, and keeps
        self._descriptors = _descriptors()
        self._before = _descendants()
        self._started: dict[int, str] = {}

    def look(self) -> None:
        """Note what has been started, while it is in use.

        What a worker started is no descendant of this process any more once the worker has ended.
        """
        seen = _descendants()
        self._started |= {pid: seen[pid] for pid in seen.keys() - self._before.keys()}

    def check_released(self) -> None:
        """Refuse more descriptors than before, and processes that were started meanwhile.

        Raises:
            ContractError: names them.
        """
        self.look()
        left = _living_after(self._started, _GRACE_S)
        if left:
            raise ContractError(
                f"After close, processes are left that were not there before: "
                f"{', '.join(f'{name} ({pid})' for pid, name in left.items())}. End in close() "
                f"what was started."
            )
        now = _descriptors()
        if now.total() > self._descriptors.total():
            raise ContractError(
                f"After close, {now.total()} descriptors are open; before there were "
                f"{self._descriptors.total()}. New are {', '.join(now - self._descriptors)}. Free "
                f"in close() what was opened."
            )


def _descriptors() -> "Counter[str]":
    """Return what the open descriptors of this process are of, and how many of each."""
    folder, found = _PROC / "self/fd", Counter[str]()
    for name in os.listdir(folder) if folder.exists() else ():
        with contextlib.suppress(FileNotFoundError):  # the one that lists them
            found[os.readlink(folder / name)] += 1
    return found


def _descendants() -> dict[int, str]:
    """Return the ids and names of all processes below this one, zombies too."""
    stats = {pid: _stat(pid) for pid in _pids()}
    found, newest = set[int](), {os.getpid()}
    while newest:
        newest = {pid for pid, (_, _, parent) in stats.items() if parent in newest}
        found |= newest
    return {pid: stats[pid][0] for pid in sorted(found)}


def _living_after(processes: dict[int, str], grace_s: float) -> dict[int, str]:
    """Return those that are there when none is any more, or after `grace_s`."""
    end_s = time.monotonic() + grace_s
    while True:
        left = {pid: name for pid, name in processes.items() if _is_there(pid)}
        if not left or time.monotonic() > end_s:
            return left
        # A pidfd tells that a process has ended, not that a thread has reaped it.
        time.sleep(0.01)


def _is_there(pid: int) -> bool:
    """Tell whether a process runs, or is a zombie that this one has to reap."""
    _, state, parent = _stat(pid)
    return state not in "XZ" or parent == os.getpid()


def _pids() -> list[int]:
    return [int(name) for name in os.listdir(_PROC) if name.isdigit()] if _PROC.exists() else []


def _stat(pid: int) -> tuple[str, str, int]:
    """Return name, state and parent of a process; ("", "X", 0) of one that is gone."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:  # it has gone, or is hidden
        return "", "X", 0
    name, _, rest = text.partition("(")[2].rpartition(")")
    state, parent, *_ = rest.split()
    return name, state, int(parent)
