"""The worker processes as the caller sees them: start, order, wait, find out how one died, stop."""

import contextlib
import multiprocessing
import os
import pickle
import select
import time
import weakref
from collections.abc import Sequence
from multiprocessing import reduction
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

import cloudpickle
from numpy.typing import NDArray

from pufferlib.environment import Buffers
from pufferlib.exceptions import ArgumentError
from pufferlib.vector import worker as worker_process
from pufferlib.vector.arguments import Creation
from pufferlib.vector.block import Description, common_description
from pufferlib.vector.failure import Failure, death_error, stuck_error
from pufferlib.vector.memory import RowMemory

_GRACE_S = 1.0  # for workers to close their environments before they are stopped


class Workers:
    """The processes, what each was told to do, and what it has answered.

    Nothing is left of them once this object is closed, collected, or the interpreter exits.
    """

    def __init__(
        self,
        made: tuple[Creation, ...],
        num_workers: int,
        timeout_s: float | None,
        context: multiprocessing.context.BaseContext,
    ) -> None:
        self._timeout_s = timeout_s
        self._envs = [
            range(w * len(made) // num_workers, (w + 1) * len(made) // num_workers)
            for w in range(num_workers)
        ]
        self._connections: list[Connection] = []
        self._processes: list[BaseProcess] = []
        self._doing: list[str | None] = [None] * num_workers
        self._since_s = [0.0] * num_workers
        self._answers: list[Any] = [None] * num_workers
        self._ready: list[int] = []  # in the order in which they became so
        self._exit_fds: list[int] = []
        self._stop = weakref.finalize(
            self, _stop, os.getpid(), self._processes, self._exit_fds, self._connections
        )
        self._poll = select.poll()
        self._worker_of_fd: dict[int, int] = {}
        what = "env_creators, env_args and env_kwargs"
        pickled = [_pickled(what, made[envs.start : envs.stop]) for envs in self._envs]
        try:
            for worker in range(num_workers):
                self._start(context, worker, pickled[worker])
        except BaseException:
            self.close()
            raise

    def _start(
        self, context: multiprocessing.context.BaseContext, worker: int, pickled: bytes
    ) -> None:
        ours, theirs = context.Pipe()
        process = context.Process(  # type: ignore[attr-defined]  # every concrete context has it
            target=worker_process.run,
            args=(theirs, pickled, worker, self._envs[worker].start),
            name=f"pufferlib worker {worker}",
            daemon=True,
        )
        self._connections.append(ours)
        try:
            process.start()
        finally:
            theirs.close()
        self._processes.append(process)
        self._exit_fds.append(worker_process.exit_fd(process))
        for fd in (ours.fileno(), self._exit_fds[-1]):
            self._worker_of_fd[fd] = worker
            self._poll.register(fd, select.POLLIN)
        self._began(worker, "__init__")

    def descriptions(self) -> tuple[Description, list[int]]:
        """Wait until every environment is made; return how all look, and the rows of each."""
        descriptions, num_agents = [], []
        for worker in sorted(self.first_ready(len(self._processes), None)):
            new, counts = self.take_answer(worker)
            descriptions += new
            num_agents += counts
        return common_description(descriptions), num_agents

    def share(
        self, memory: RowMemory, rows: int, starts: NDArray[Any]
    ) -> tuple[Buffers, NDArray[Any]]:
        """Allocate the rows and hand them to every worker; return (buffers, actions)."""
        fd = memory.allocate()
        try:
            for worker, connection in enumerate(self._connections):
                connection.send(("share", rows, int(starts[worker])))
                reduction.send_handle(connection, fd, self._processes[worker].pid)
            return memory.map(fd)
        finally:
            os.close(fd)

    def order_step(self, worker: int) -> None:
        """Tell a worker to step its environments."""
        self._began(worker, "step")
        self._tell(worker, worker_process.STEP)

    def order_all(self, command: str, arguments: Sequence[tuple[Any, ...]]) -> None:
        """Tell every worker to do something else; tell none unless all of it can be sent."""
        messages = [_pickled(f"The arguments of {command}", (command, *own)) for own in arguments]
        for worker, (message, own) in enumerate(zip(messages, arguments, strict=True)):
            self._began(worker, own[0] if command == "call" else command)
            self._tell(worker, message)

    def first_ready(self, count: int, group_size: int | None) -> list[int]:
        """Wait until `count` workers are ready; return them, no longer counted as ready.

        Args:
            count: how many.
            group_size: if given, only whole groups of that many neighbours, with `count` one group.

        Raises:
            WorkerError: a worker failed, died, or exceeded the timeout.
        """
        while True:
            taken = self._take(count, group_size)
            if taken is not None:
                return taken
            self._wait()

    def take_answer(self, worker: int) -> Any:
        """Return what a worker answered, None if only that it is done."""
        answer, self._answers[worker] = self._answers[worker], None
        return answer

    def drain(self) -> None:
        """Wait for all workers that are busy, and forget what they answered."""
        while any(doing is not None for doing in self._doing):
            self._wait()
        self._ready.clear()
        self._answers = [None] * len(self._answers)

    def close(self) -> None:
        """End every process and close every connection. May be called again."""
        self._stop()

    def _take(self, count: int, group_size: int | None) -> list[int] | None:
        if len(self._ready) < count:
            return None
        if group_size is None:
            taken = sorted(self._ready[:count])
        else:
            for worker in self._ready:  # the group of the one that has waited longest first
                first = worker - worker % group_size
                taken = list(range(first, first + group_size))
                if all(member in self._ready for member in taken):
                    break
            else:
                return None
        self._ready = [worker for worker in self._ready if worker not in taken]
        return taken

    def _wait(self) -> None:
        """Wait for news of any worker and note it."""
        events = self._poll.poll(self._poll_timeout_ms())
        for fd, _ in events:
            self._read(self._worker_of_fd[fd])
        if self._timeout_s is not None:
            now_s = time.monotonic()
            for worker, doing in enumerate(self._doing):
                if doing is not None and now_s - self._since_s[worker] > self._timeout_s:
                    raise stuck_error(worker, self._envs[worker], self._timeout_s, doing)

    def _poll_timeout_ms(self) -> float | None:
        if self._timeout_s is None:
            return None
        since_s = [self._since_s[w] for w, doing in enumerate(self._doing) if doing is not None]
        left_s = min(since_s, default=time.monotonic()) + self._timeout_s - time.monotonic()
        return max(0.0, left_s * 1000) + 1

    def _read(self, worker: int) -> None:
        """Read an answer of a worker, or find out how it died."""
        connection = self._connections[worker]
        if not connection.poll():  # the process ended; a grandchild may hold its pipe open
            self._raise_death(worker)
        try:
            message = connection.recv_bytes()
        except (EOFError, ConnectionResetError):
            self._raise_death(worker)
        answer = None if message == worker_process.DONE else pickle.loads(message)
        if isinstance(answer, Failure):
            raise answer.to_error()
        if self._doing[worker] is not None:
            self._doing[worker], self._answers[worker] = None, answer
            self._ready.append(worker)

    def _tell(self, worker: int, message: bytes) -> None:
        try:
            self._connections[worker].send_bytes(message)
        except (BrokenPipeError, ConnectionResetError):
            self._raise_death(worker)

    def _began(self, worker: int, what: str) -> None:
        self._doing[worker], self._since_s[worker] = what, time.monotonic()

    def _raise_death(self, worker: int) -> None:
        process = self._processes[worker]
        if process.exitcode is None:
            process.join(_GRACE_S)
        doing = self._doing[worker] or "nothing"
        raise death_error(worker, self._envs[worker], process.exitcode, doing) from None


def _pickled(what: str, value: Any) -> bytes:
    try:
        data: bytes = cloudpickle.dumps(value)
    except Exception as error:  # pickling may fail in any way that an object's author chose
        raise ArgumentError(
            f"{what} must be picklable, to be sent to a worker process: "
            f"{type(error).__name__}: {error}. Make that object inside the environment, or use the "
            f"Serial backend."
        ) from error
    return data


def _stop(
    owner: int, processes: list[BaseProcess], exit_fds: list[int], connections: list[Connection]
) -> None:
    """Ask the workers to close, then stop those that do not; leave nothing of them."""
    if os.getpid() != owner:  # a forked child has a copy of this, but the workers are not its own
        return
    for connection in connections:
        with contextlib.suppress(OSError):
            connection.send(("close",))
    deadline_s = time.monotonic() + _GRACE_S
    for fd in exit_fds:
        wait([fd], max(0.0, deadline_s - time.monotonic()))
    for process in processes:
        if process.exitcode is None:
            process.kill()
    for process in processes:
        process.join()
        process.close()
    for fd in exit_fds:
        os.close(fd)
    for connection in connections:
        connection.close()
    processes.clear()
    exit_fds.clear()
    connections.clear()
