"""Processes and memory of this machine, as Linux reports them in /proc (proc(5)).

Without /proc, on macOS for example, there are no processes and every quantity is None.
"""

import contextlib
import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36  # prctl(2)
_PARENT_POLL_S = 1.0  # without prctl


@dataclass(frozen=True)
class Process:
    """A process at one moment.

    Attributes:
        pid: its id.
        name: of its program, at most 15 characters.
        state: one letter: R running, S sleeping, D waiting for a disk, Z zombie, X dead ...
        parent: id of its parent.
        cpu_s: CPU seconds that it has used.
        ended_children_cpu_s: CPU seconds of its descendants that have ended and were waited for.
    """

    pid: int
    name: str
    state: str
    parent: int
    cpu_s: float
    ended_children_cpu_s: float


def read(pid: int) -> Process | None:
    """Return a process, zombies too; None if it has ended or cannot be read."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    # The name is in parentheses and may contain anything; the state is field 3.
    name, _, rest = text.partition("(")[2].rpartition(")")
    fields = rest.split()
    utime, stime, cutime, cstime = (int(ticks) for ticks in fields[11:15])
    tick_s = 1 / os.sysconf("SC_CLK_TCK")
    return Process(
        pid=pid,
        name=name,
        state=fields[0],
        parent=int(fields[1]),
        cpu_s=(utime + stime) * tick_s,
        ended_children_cpu_s=(cutime + cstime) * tick_s,
    )


def descendants(pid: int | None = None) -> list[Process]:
    """Return the processes below one, parents before their children, zombies too.

    Args:
        pid: the one whose descendants are returned; None: this process.
    """
    children_of = _read_children if _has_children_files() else _parents_scan()
    found: list[Process] = []
    unvisited = [os.getpid() if pid is None else pid]
    for parent in unvisited:  # grows in the loop
        for child in children_of(parent):
            process = read(child)
            if process is not None:
                found.append(process)
                unvisited.append(child)
    return found


def kill(processes: Iterable[Process]) -> None:
    """Kill processes, except trackers of multiprocessing.

    A `multiprocessing.resource_tracker` ends by itself after the last process that uses it, and
    then removes the shared memory that they have left.
    """
    for process in processes:
        if not _is_resource_tracker(process.pid):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process.pid, signal.SIGKILL)


def adopt_orphans() -> None:
    """Let descendants whose parent ends become children of this process, not of process 1.

    So `descendants` finds programs in the background of a shell that has ended, and daemons. An
    orphan that ends stays a zombie until this process ends. Linux only: elsewhere nothing changes.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # a libc without prctl
            ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_with_parent(parent: int) -> bool:
    """Kill this process as soon as its parent has ended; return False if it has ended already.

    On Linux the system does so, whatever this process is doing; elsewhere a thread does.

    Args:
        parent: id of the process that started this one.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    else:
        threading.Thread(target=_await_parent, args=(parent,), daemon=True).start()
    return os.getppid() == parent


def _await_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_PARENT_POLL_S)
    os.kill(os.getpid(), signal.SIGKILL)


def _is_resource_tracker(pid: int) -> bool:
    try:
        command = (_PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return False
    return b"multiprocessing.resource_tracker" in command


def _has_children_files() -> bool:
    """Return whether the kernel lists the children of a thread; some are built without."""
    return (_PROC / "thread-self/children").exists()


def _read_children(pid: int) -> list[int]:
    """Return the ids of a process's children: as fast as it has few threads."""
    found: list[int] = []
    tasks = _PROC / str(pid) / "task"
    with contextlib.suppress(OSError):  # the process has ended, or this one may open no more files
        for task in os.listdir(tasks):
            with contextlib.suppress(OSError):  # the thread has ended
                found += map(int, (tasks / task / "children").read_text().split())
    return found


def _parents_scan() -> Callable[[int], list[int]]:
    """Return a function like `_read_children`, after reading the parents of all processes."""
    found: dict[int, list[int]] = {}
    for name in os.listdir(_PROC) if _PROC.exists() else ():
        process = read(int(name)) if name.isdigit() else None
        if process is not None:
            found.setdefault(process.parent, []).append(process.pid)
    return lambda pid: found.get(pid, [])


def memory_bytes(pid: int) -> tuple[int, int] | None:
    """Return (resident memory, the part of it that is shared with others); None if unknown."""
    try:
        _, resident, shared, *_ = (_PROC / str(pid) / "statm").read_text().split()
    except (OSError, ValueError):
        return None
    page_bytes = os.sysconf("SC_PAGE_SIZE")
    return int(resident) * page_bytes, int(shared) * page_bytes


def available_bytes() -> int | None:
    """Return how much memory a new process can take without swapping; None if unknown."""
    try:
        lines = (_PROC / "meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvail"))
    except (OSError, StopIteration):
        return None


def queued_s() -> float:
    """Return how long this thread was ready to run while others had the core; 0 if unknown."""
    try:
        return int((_PROC / "thread-self/schedstat").read_text().split()[1]) / 1e9
    except OSError:
        return 0.0
