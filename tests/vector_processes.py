"""What the kernel says about this process's children and descriptors (Linux)."""

import contextlib
import os
import signal
import time
from multiprocessing import forkserver, resource_tracker
from pathlib import Path


def start_helpers():
    """Start the two processes that multiprocessing keeps for itself, once and for good."""
    forkserver.ensure_running()
    resource_tracker.ensure_running()


def children():
    """Return the ids of all descendants of this process except the two helpers; zombies count."""
    helpers = {forkserver._forkserver._forkserver_pid, resource_tracker._resource_tracker._pid}
    parents = {pid: _stat(pid)[1] for pid in _all_pids()}
    found, new = set(), {os.getpid()}
    while new:
        new = {pid for pid, parent in parents.items() if parent in new}
        found |= new
    return found - helpers


def open_descriptors():
    """Return how many file descriptors this process has open."""
    return len(os.listdir("/proc/self/fd"))


def living(pids):
    """Return the processes of `pids` that run; a zombie does not."""
    return {pid for pid in pids if _stat(pid)[0] not in "ZX"}


def living_after(pids, deadline_s):
    """Wait up to `deadline_s` for `pids` to end; return the ones that still run."""
    end_s = time.monotonic() + deadline_s
    while living(pids) and time.monotonic() < end_s:
        time.sleep(0.01)
    return living(pids)


def wait_until_asleep(pids, deadline_s=120):
    """Return when each of `pids` has slept ten times in a row: it no longer looks for orders.

    Fails if one ends, or does not sleep within `deadline_s`.
    """
    end_s = time.monotonic() + deadline_s
    for pid in pids:
        times = 0
        while times < 10:
            state = _stat(pid)[0]
            assert state not in "ZX", f"Process {pid} has ended instead of falling asleep."
            assert time.monotonic() < end_s, f"Process {pid} is in state {state}, not asleep."
            times = times + 1 if state == "S" else 0
            time.sleep(0.002)


def end_and_reap(pids):
    """Kill processes, and reap those that are children of this one: no zombie is left."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for pid in pids:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)


def _all_pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _stat(pid):
    """Return (state, parent) of a process; ("X", 0) if it does not exist."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return "X", 0
    return fields[0], int(fields[1])


def end_process(*_):
    """End the process that calls this, as a crash in C would."""
    os._exit(9)
