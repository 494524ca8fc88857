"""Start, watch and end the processes of trials: on this machine, and what any executor needs."""

import contextlib
import os
import signal
import site
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pufferlib import proc
from pufferlib.exceptions import SettingError
from pufferlib.sweep import trial
from pufferlib.sweep.trial_files import LOG

_GRACE_S = 60.0  # to save a checkpoint
_POLL_S = 0.05
_OOM_COUNTS = (
    Path("/sys/fs/cgroup/memory.events"),  # v2
    Path("/sys/fs/cgroup/memory/memory.oom_control"),  # v1
    Path("/proc/vmstat"),  # of the machine: the root of v2 has no memory.events
)


@dataclass(frozen=True)
class Ending:
    """How the process of a trial ended.

    Attributes:
        code: its exit status; negative: the signal that killed it.
        cpu_s: CPU seconds that it and its children used.
        wall_s: seconds from its start to its end.
        was_out_of_memory: the system has killed a process for memory in that time.
        error: of the executor, such as the loss of a node, if that ended it.
    """

    code: int
    cpu_s: float
    wall_s: float
    was_out_of_memory: bool = False
    error: str | None = None

    @property
    def is_interrupted(self) -> bool:
        """Whether the trial is to be resumed: it was asked to end, and saved its state."""
        return self.code in (trial.INTERRUPTED, -signal.SIGTERM)

    @property
    def reason(self) -> str:
        """Why there is no result, in a few words."""
        if self.error is not None:
            return self.error
        if self.code == trial.DISK_FULL:
            return "disk full"
        if self.code >= 0:
            return f"ended without a result, status {self.code}"
        if -self.code == signal.SIGKILL and self.was_out_of_memory:
            return "out of memory"
        return f"killed by signal {-self.code}"


class Process(Protocol):
    """A trial at work."""

    @property
    def started_s(self) -> float:
        """When it was started, in seconds of `time.time()`; the present while it waits for that."""

    def poll(self) -> Ending | None:
        """Return how it ended; None if it has not. Nothing that it started is left after that."""

    def interrupt(self) -> None:
        """Ask it to save its state and end."""

    def kill(self) -> None:
        """End it at once, with everything that it has started; `poll` still has to be called."""


class Executor(Protocol):
    """Where trials run: `LocalExecutor`, or `RayExecutor` of `pufferlib.sweep.ray`."""

    jobs: int
    """How many trials run side by side."""

    def start(self, folder: Path) -> Process:
        """Start the trial in `folder`. At most `jobs` may run at a time."""

    def close(self) -> None:
        """Interrupt what still runs, wait for it, and kill what does not end. May be repeated."""


class LocalExecutor:
    """Processes on this machine, each with its own part of the usable cores.

    Args:
        jobs: how many run side by side.
        environment: variables that they get in addition.

    Raises:
        SettingError: there are fewer cores.
    """

    def __init__(self, jobs: int, environment: dict[str, str] | None = None) -> None:
        self.jobs = jobs
        self._environment = environment or {}
        self._free = split_cores(jobs)
        self._running: list[LocalProcess] = []

    def start(self, folder: Path) -> "LocalProcess":
        """See `Executor.start`."""
        cores = self._free.pop(0)
        process = LocalProcess(self._launch(folder, cores), cores, self._release)
        self._running.append(process)
        return process

    def _launch(self, folder: Path, cores: tuple[int, ...]) -> "subprocess.Popen[bytes]":
        return launch(folder, cores, {"PYTHONPATH": python_path(), **self._environment})

    def close(self) -> None:
        """See `Executor.close`."""
        end_all(self._running)

    def _release(self, process: "LocalProcess") -> None:
        self._running.remove(process)
        self._free.insert(0, process.cores)


class LocalProcess:
    """The process of a trial, and its children.

    Args:
        child: which leads its own session.
        cores: that it may use.
        release: called once with this object when it has ended.
    """

    def __init__(
        self,
        child: "subprocess.Popen[bytes]",
        cores: tuple[int, ...],
        release: Callable[["LocalProcess"], None],
    ) -> None:
        self._child, self.cores, self._release = child, cores, release
        self.started_s, self._begin_s = time.time(), time.monotonic()
        self._oom_kills = _oom_kills()
        self._ending: Ending | None = None

    def poll(self) -> Ending | None:
        """See `Process.poll`."""
        if self._ending is not None:
            return self._ending
        pid = self._child.pid
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            return None
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)  # while its id is still taken
        _, status, usage = os.wait4(pid, 0)
        code = self._child.returncode = os.waitstatus_to_exitcode(status)
        self._ending = Ending(
            code=code,
            cpu_s=usage.ru_utime + usage.ru_stime,
            wall_s=time.monotonic() - self._begin_s,
            was_out_of_memory=_oom_kills() > self._oom_kills,
        )
        self._release(self)
        return self._ending

    def interrupt(self) -> None:
        """See `Process.interrupt`."""
        if self._ending is None:
            os.kill(self._child.pid, signal.SIGTERM)

    def kill(self) -> None:
        """See `Process.kill`."""
        if self._ending is None:
            descendants = proc.descendants(self._child.pid)  # some may have left the group
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._child.pid, signal.SIGKILL)
            proc.kill(descendants)


def launch(
    folder: Path, cores: tuple[int, ...], environment: dict[str, str], cwd: str | None = None
) -> "subprocess.Popen[bytes]":
    """Start the process of the trial in `folder`; it writes into its log.

    Args:
        folder: of the trial.
        cores: that it may use; (): all.
        environment: variables that it gets in addition.
        cwd: where it starts; None: here.
    """
    numbers = ",".join(map(str, cores))
    command = [sys.executable, "-m", trial.__name__, str(folder), str(os.getpid()), numbers]
    with (folder / LOG).open("ab") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
            cwd=cwd,
            start_new_session=True,  # Ctrl+C is for the sweep, which passes it on
        )


def end_all(running: Sequence[Process]) -> None:
    """Interrupt processes, wait for them, and kill those that do not end.

    Args:
        running: an ended one leaves this list when it is polled.
    """
    for process in list(running):
        process.interrupt()
    limit_s = time.monotonic() + _GRACE_S
    while running and time.monotonic() < limit_s:
        for process in list(running):
            process.poll()
        time.sleep(_POLL_S)
    while running:
        process = running[0]
        process.kill()
        while process.poll() is None:
            time.sleep(_POLL_S)


def split_cores(jobs: int) -> list[tuple[int, ...]]:
    """Return the cores of each job: disjoint, of equal number but for one; () where unknown.

    Raises:
        SettingError: there are fewer cores than jobs.
    """
    if not hasattr(os, "sched_getaffinity"):  # macOS
        return [()] * jobs
    cores: Sequence[int] = sorted(os.sched_getaffinity(0))
    if jobs > len(cores):
        raise SettingError(
            f"sweep.jobs must be at most the {len(cores)} usable cores, one for each; got {jobs}."
        )
    bounds = [round(len(cores) * job / jobs) for job in range(jobs + 1)]
    return [tuple(cores[bounds[job] : bounds[job + 1]]) for job in range(jobs)]


def _oom_kills() -> int:
    """Return how many processes of this container were killed for memory; 0 if unknown."""
    for path in _OOM_COUNTS:
        with contextlib.suppress(OSError, ValueError):
            counts = dict(line.split()[:2] for line in path.read_text().splitlines())
            if "oom_kill" in counts:
                return int(counts["oom_kill"])
    return 0


def python_path() -> str:
    """Return where this process finds modules, as next to its script, but for Python's own."""
    paths = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    own = (*paths, *site.getsitepackages())
    found = [os.path.abspath(path) for path in sys.path]
    return os.pathsep.join(
        path
        for path in found
        if not any(path == each or path.startswith(each + os.sep) for each in own)
    )
