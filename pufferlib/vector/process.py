"""One worker process as the caller sees it, and how all of them are stopped."""

import contextlib
import functools
import multiprocessing
import os
import select
import socket
import struct
import time
import weakref
from collections.abc import Iterator, Sequence
from multiprocessing import reduction
from multiprocessing.connection import wait
from typing import Any

from pufferlib.vector.gate import Gate
from pufferlib.vector.worker import COMMAND, ONE_THREAD, exit_fd, run

GRACE_S = 1.0  # for workers to close their environments before they are stopped
_FOR_EVER_S = 1e9  # as good as; more than the system takes for a limit is refused
_started: "weakref.WeakSet[Any]" = weakref.WeakSet()


class WorkerProcess:
    """A process that was started, and the caller's end of its pipe.

    Attributes:
        connection: to it.
        fds: of the connection, and one that can be read once the process has ended.
    """

    def __init__(
        self,
        context: multiprocessing.context.BaseContext,
        pickled: bytes,
        worker: int,
        first_env: int,
    ) -> None:
        self.connection, theirs = context.Pipe()
        self._process = context.Process(  # type: ignore[attr-defined]  # all contexts have it
            target=run,
            args=(theirs, pickled, worker, first_env),
            name=f"pufferlib worker {worker}",
            daemon=True,
        )
        _started.add(self._process)
        _disown_in_forked_children()
        try:
            with _one_thread_each():
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
        """Let `connection` raise BlockingIOError where neither reads nor writes for so long."""
        whole_s, rest_s = divmod(min(seconds, _FOR_EVER_S), 1)
        limit = struct.pack("ll", int(whole_s), max(1, int(rest_s * 1e6)))
        with socket.socket(fileno=os.dup(self.connection.fileno())) as own:
            own.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
            own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)

    @property
    def has_ended(self) -> bool:
        return bool(wait([self._exit_fd], 0))

    def send_handle(self, fd: int) -> None:
        """Give the process a descriptor of its own for what is behind `fd`."""
        reduction.send_handle(self.connection, fd, self._process.pid)

    def exit_code(self) -> int | None:
        """Return it once the process has ended, None if it does not within the grace."""
        if self._process.exitcode is None:
            self._process.join(GRACE_S)
        code: int | None = self._process.exitcode
        return code

    def ask_to_close(self) -> None:
        """Ask it to close its environments and end, unless it has yet to read something else."""
        with contextlib.suppress(OSError):
            room = select.poll()
            room.register(self.connection.fileno(), select.POLLOUT)
            if room.poll(0):
                self.connection.send(("close",))

    def kill(self) -> None:
        """Stop the process at once; leave nothing of it."""
        self._process.kill()
        self.end(time.monotonic())

    def end(self, deadline_s: float) -> None:
        """Stop the process, at a time of the monotonic clock at the latest; leave nothing of it.

        May be called again.
        """
        if self.connection.closed:
            return
        wait([self._exit_fd], max(0.0, deadline_s - time.monotonic()))
        if self._process.exitcode is None:
            self._process.kill()
        self._process.join()
        self._process.close()
        os.close(self._exit_fd)
        self.connection.close()


def stop(owner: int, processes: list[WorkerProcess], gates: Sequence[Gate], fds: list[int]) -> None:
    """Ask the workers to close, then stop those that do not; leave nothing of them."""
    if os.getpid() != owner:  # a forked child has a copy of this, but the workers are not its own
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
def _disown_in_forked_children() -> None:
    """Let a child that the caller forks leave the workers alone: they are not its own.

    When it exits, multiprocessing would end all processes it knows.
    """

    def disown() -> None:
        getattr(multiprocessing.process, "_children", set()).difference_update(_started)

    if hasattr(os, "register_at_fork"):  # Windows has no fork
        os.register_at_fork(after_in_child=disown)


@contextlib.contextmanager
def _one_thread_each() -> Iterator[None]:
    """Let a process that is started meanwhile load its numeric libraries with one thread each."""
    added = {name: value for name, value in ONE_THREAD.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]
