"""A process that kills a test process which no longer runs Python, with everything it started.

pytest-timeout raises an exception in a test that takes too long. It cannot where the test hangs in
C: no Python runs there. This process then kills the test process, and pytest-xdist reports the test
as failed and goes on in a new one.

Run as a script it watches the process whose id is its argument. Each line on stdin is "SECONDS
NAME": that process may take so long for NAME. 0 seconds: no limit.
"""

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

DUMP_S = 5.0  # to write the stacks of all threads


class Watchdog:
    """Start to watch this process; every limit replaces the one before."""

    def __init__(self) -> None:
        command = [sys.executable, "-I", "-S", __file__, str(os.getpid())]
        script = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
        script.wait()  # it has forked the watching process, so that tests see no child
        assert script.stdin is not None
        self._limits = script.stdin.fileno()
        self._script = script  # its end of the pipe stays open

    def limit(self, seconds: float, name: str) -> None:
        """Kill this process if no other limit follows within `seconds`; 0: never."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._limits, f"{seconds} {name}\n".encode())


def watch(pid: int) -> None:
    """Return once the process has ended, killed if it exceeds a limit."""
    exit_fd = os.pidfd_open(pid)
    group = os.getpgid(pid)
    end_s, name, unread = None, "", b""
    while True:
        wait_s = None if end_s is None else max(0.0, end_s - time.monotonic())
        ready = select.select([exit_fd, 0], [], [], wait_s)[0]
        if exit_fd in ready:
            break
        if not ready:
            kill(pid, exit_fd, name)
            break
        received = os.read(0, 65536)
        if not received:  # and it has closed its end
            select.select([exit_fd], [], [])
            break
        *lines, unread = (unread + received).split(b"\n")
        for line in lines:
            seconds, name = line.decode().split(" ", 1)
            end_s = time.monotonic() + float(seconds) if float(seconds) else None
    if group == pid:  # a child may hold the pipe by which pytest-xdist sees that its worker ended
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)


def kill(pid: int, exit_fd: int, name: str) -> None:
    """End a process by SIGABRT, on which faulthandler writes its stacks; then its descendants."""
    os.write(2, f"\n{name} hangs where no exception ends it. Its process is killed.\n".encode())
    family = [pid, *descendants(pid)]
    os.kill(pid, signal.SIGCONT)
    os.kill(pid, signal.SIGABRT)
    select.select([exit_fd], [], [], DUMP_S)
    for each in family:
        with contextlib.suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)


def descendants(pid: int) -> list[int]:
    """Return the ids of all processes that `pid` started, and that those started (Linux)."""
    parents = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            fields = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
            parents[int(name)] = int(fields[1])
    found, new = [], [pid]
    while new:
        new = [child for child, parent in parents.items() if parent in new]
        found += new
    return found


if __name__ == "__main__":
    if os.fork() == 0:
        watch(int(sys.argv[1]))
