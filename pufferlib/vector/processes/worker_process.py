"""One worker process as the caller sees it, and how all of them are stopped."""

import atexit
import contextlib
import functools
import multiprocessing
import os
import select
import socket
import struct
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import reduction
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Any

from pufferlib import proc
from pufferlib.vector.autoreset import Autoreset
from pufferlib.vector.processes.gate import Gate
from pufferlib.vector.processes.start_method import is_fork
from pufferlib.vector.processes.worker_main import COMMAND, WorkerCreations, exit_fd, run
from pufferlib.vector.threads import limit_started_processes

GRACE_S = 1.0  # for workers to close their environments before they are stopped
_NO_LIMIT_S = 1e9  # in effect; the system refuses more than it can count
_started: "weakref.WeakSet[BaseProcess]" = weakref.WeakSet()
_stops: "weakref.WeakKeyDictionary[object, weakref.finalize[Any, Any]]"
_stops = weakref.WeakKeyDictionary()  # of owners that still exist


class WorkerProcess:
    """A process that was started, and the caller's end of its pipe.

    Attributes:
        connection: to the process.
        fds: of the connection, and one that becomes readable when the process has ended.
    """

    def __init__(
        self,
        context: multiprocessing.context.BaseContext,
        made: WorkerCreations,
        worker: int,
        first_env: int,
        autoreset: Autoreset,
    ) -> None:
        self.connection, theirs = context.Pipe()
        self._process = context.Process(  # type: ignore[attr-defined]  # all contexts have it
            target=run,
            args=(theirs, made, worker, first_env, is_fork(context), autoreset),
            name=f"pufferlib worker {worker}",
            daemon=True,
        )
        _started.add(self._process)
        _let_forks_ignore_workers()
        try:
            with limit_started_processes(), _daemonic_process_may_start_others():
                self._process.start()
            self._exit_fd = exit_fd(self._process)
        except BaseException:
            self.connection.close()
            if self._process.pid is not None:
                self._process.kill()
                self._process.join()
            raise
        finally:
            theirs.close()
        self.fds = self.connection.fileno(), self._exit_fd

    def limit_waiting(self, seconds: float) -> None:
        """Let reads and writes of `connection` raise BlockingIOError after so many seconds."""
        whole_s, rest_s = divmod(min(seconds, _NO_LIMIT_S), 1)
        limit = struct.pack("ll", int(whole_s), max(1, int(rest_s * 1e6)))
        with socket.socket(fileno=os.dup(self.connection.fileno())) as own:
            own.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
            own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)

    @property
    def has_ended(self) -> bool:
        return bool(wait([self._exit_fd], 0))

    def send_handle(self, fd: int) -> None:
        """Send the process its own copy of the descriptor `fd`."""
        reduction.send_handle(self.connection, fd, self._process.pid)

    def exit_code(self) -> int | None:
        """Return the exit code, after waiting for at most GRACE_S; None if it still runs."""
        if self._process.exitcode is None:
            self._process.join(GRACE_S)
        code: int | None = self._process.exitcode
        return code

    def ask_to_close(self) -> None:
        """Ask it to close its environments and end, unless its pipe is full of other messages."""
        with contextlib.suppress(OSError):
            room = select.poll()
            room.register(self.connection.fileno(), select.POLLOUT)
            if room.poll(0):
                self.connection.send(("close",))

    def kill(self) -> None:
        """Kill the process and those that it has started, and free its resources."""
        self.end(deadline_s=0)

    def end(self, deadline_s: float) -> None:
        """Wait for the process to end, and free its resources.

        If it has not ended by the deadline, it is killed with all that it has started. May be
        called again.

        Args:
            deadline_s: when to kill it, on the monotonic clock.
        """
        if self.connection.closed:
            return
        wait([self._exit_fd], max(0.0, deadline_s - time.monotonic()))
        if self._process.exitcode is None:
            started = proc.descendants(self._process.pid)  # they would lose their parent
            self._process.kill()
            proc.kill(started)
        self._process.join()
        self._process.close()
        os.close(self._exit_fd)
        self.connection.close()


@contextlib.contextmanager
def _daemonic_process_may_start_others() -> Iterator[None]:
    """Let this process start workers even if it is daemonic, as those of `Pool` are.

    multiprocessing forbids it because a process that is terminated would leave the others behind.
    Workers end with the process that started them, however it ends.
    """
    process = multiprocessing.current_process()
    if not process.daemon:
        yield
        return
    process.daemon = False
    try:
        yield
    finally:
        process.daemon = True


def stop_with(
    owner: object, processes: list[WorkerProcess], gates: Sequence[Gate], fds: list[int]
) -> Callable[[], object]:
    """Stop the workers as soon as `owner` is collected, or at exit; return what stops them now.

    Arguments are those of `stop`.
    """
    finalizer = weakref.finalize(owner, stop, os.getpid(), processes, gates, fds)
    _stops[owner] = finalizer
    _stop_at_exit()
    return finalizer


def stop(owner: int, processes: list[WorkerProcess], gates: Sequence[Gate], fds: list[int]) -> None:
    """Ask the workers to close, kill those that do not within GRACE_S, and free everything.

    Args:
        owner: id of the process that started them; no other does anything here.
        processes: emptied.
        gates: at which they wait, at most one.
        fds: closed, and emptied.
    """
    if os.getpid() != owner:  # a fork of the caller has a copy of this, but not the workers
        return
    for worker, process in enumerate(processes):
        for gate in gates:
            gate.order(worker, COMMAND)
        process.ask_to_close()
    deadline_s = time.monotonic() + GRACE_S
    while processes:
        processes.pop(0).end(deadline_s)
    while fds:
        os.close(fds.pop())


@functools.cache
def _let_forks_ignore_workers() -> None:
    """Let processes forked by the caller exit without affecting the workers.

    Otherwise multiprocessing would terminate all workers at the exit of such a process.
    """

    def forget_workers() -> None:
        getattr(multiprocessing.process, "_children", set()).difference_update(_started)

    if hasattr(os, "register_at_fork"):  # Windows has no fork
        os.register_at_fork(after_in_child=forget_workers)


@functools.cache
def _stop_at_exit() -> None:
    """Stop workers at exit before multiprocessing terminates them.

    What is registered last runs first. The finalizers of weakref are registered with the first of
    them in this process, which may be before multiprocessing is imported.
    """

    def stop_all() -> None:
        for finalizer in list(_stops.values()):
            finalizer()

    atexit.register(stop_all)
