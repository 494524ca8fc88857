"""Environments in several processes that write into shared memory."""

import contextlib
import multiprocessing
import os
import pickle
import select
import sys
import time
import weakref
from collections.abc import Sequence
from multiprocessing import reduction
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

import cloudpickle
import numpy as np
from numpy.typing import NDArray

from pufferlib.environment import Buffers, StepResult
from pufferlib.exceptions import ArgumentError, WorkerError
from pufferlib.spaces import joint_space
from pufferlib.vector import worker as worker_process
from pufferlib.vector.arguments import (
    Creation,
    batch_envs,
    check_timeout,
    creations,
    one_value_each,
    worker_count,
)
from pufferlib.vector.batch import Batch, Infos
from pufferlib.vector.block import Description, common_description
from pufferlib.vector.failure import Failure, death_error, stuck_error
from pufferlib.vector.interface import METADATA, ActionCheck, Turns
from pufferlib.vector.memory import RowMemory

_GRACE_S = 1.0  # for workers to close their environments before they are stopped


class Multiprocessing:
    """Step the environments in `num_workers` processes. See `VectorEnv` for the interface.

    With `batch_size` below `num_envs` this is a pool: `recv` returns as soon as enough workers are
    done, while the others go on, and `send` answers just those.

    An exception in an environment, the death of a worker, and a worker that takes longer than
    `timeout_s` each raise a `WorkerError` here, after which everything is closed.

    Args:
        env_creators: see `pufferlib.vector.make`. Closures and lambdas pass through cloudpickle.
        env_args: see there.
        env_kwargs: see there.
        num_envs: how many environments; a multiple of `num_workers`.
        num_workers: processes. None or "auto": as many as there are usable cores and as divide
            `num_envs`.
        batch_size: environments in a batch; a multiple of those of one worker. None: all. "auto":
            those of about half the workers.
        zero_copy: in a pool, return views of rows that lie together, so a batch is always the same
            neighbouring workers. If False, any workers that are ready, copied together.
        start_method: "fork", "forkserver" or "spawn". None: fork on Linux, else spawn.
        timeout_s: seconds that a worker may take to make its environments, to reset or to step
            them. None: for ever.

    Raises:
        ArgumentError: an argument that cannot be, before any process starts.
        WorkerError: an environment could not be made.
    """

    metadata = METADATA

    def __init__(
        self,
        env_creators: Any,
        env_args: Any = None,
        env_kwargs: Any = None,
        num_envs: int = 1,
        num_workers: int | str | None = None,
        batch_size: int | str | None = None,
        zero_copy: bool = True,
        start_method: str | None = None,
        timeout_s: float | None = None,
    ) -> None:
        self._turns = Turns()
        made = creations(env_creators, env_args, env_kwargs, num_envs)
        self.num_envs = num_envs
        self.num_workers = worker_count(num_envs, num_workers)
        self.batch_size = batch_envs(num_envs, self.num_workers, batch_size)
        self.envs_per_worker = num_envs // self.num_workers
        self._workers_per_batch = self.batch_size // self.envs_per_worker
        self._zero_copy = zero_copy
        if zero_copy and self.num_workers % self._workers_per_batch:
            raise ArgumentError(
                f"zero_copy needs batches that split the workers evenly; got "
                f"num_workers={self.num_workers}, of which batch_size={self.batch_size} takes "
                f"{self._workers_per_batch}. Use a batch_size that divides num_envs={num_envs}, or "
                f"zero_copy=False."
            )
        check_timeout(timeout_s)
        self._workers = _Workers(made, self.num_workers, timeout_s, _context(start_method))
        try:
            self._share_rows(*self._workers.descriptions())
        except BaseException:
            self.close()
            raise

    def _share_rows(self, description: Description, num_agents: list[int]) -> None:
        """Allocate the rows of all environments and hand each worker its own."""
        self.single_observation_space = description.single_observation_space
        self.single_action_space = description.single_action_space
        self.observation_layout = description.observation_layout
        self.action_layout = description.action_layout
        self.render_mode = description.render_mode
        self.agents_per_env = num_agents
        self.num_agents = sum(num_agents)
        per_worker = np.sum(np.reshape(num_agents, (self.num_workers, -1)), axis=1)
        if self.batch_size < self.num_envs and np.ptp(per_worker):
            raise ArgumentError(
                f"A pool needs workers with equally many agents, to have batches of one size; got "
                f"{per_worker.tolist()}. Use batch_size=None, or environments that are alike."
            )
        self._stops = np.cumsum(per_worker)
        self._starts = self._stops - per_worker
        self.agents_per_batch = self.num_agents * self.batch_size // self.num_envs
        self.observation_space = joint_space(self.single_observation_space, self.agents_per_batch)
        self.action_space = joint_space(self.single_action_space, self.agents_per_batch)
        self._check_actions = ActionCheck(self.single_action_space, self.agents_per_batch)
        memory = RowMemory(self.single_observation_space, self.single_action_space, self.num_agents)
        self._buffers, self._actions = self._workers.share(memory, self.num_agents, self._starts)
        self._env_ids = np.arange(self.num_agents)
        self._received: list[int] = []
        self._final_observations = self._buffers.final_observations

    @property
    def final_observations(self) -> NDArray[Any]:
        """See `VectorEnv`."""
        return self._final_observations

    def reset(self, seed: int | None = 42) -> tuple[NDArray[Any], Infos]:
        """Reset all; environment i gets `seed + i`. Return (observations, infos) of a batch."""
        self.async_reset(seed)
        batch = self.recv()
        return batch.observations, batch.infos

    def step(self, actions: Any) -> StepResult:
        """Step a batch; return (observations, rewards, terminals, truncations, infos)."""
        self.send(actions)
        return self.recv()[:5]

    def async_reset(self, seed: int | None = 42) -> None:
        """Begin to reset all environments, also those that are still stepping."""
        self._turns.reset()
        with self._closing_on_failure():
            self._workers.drain()
            self._workers.order_all("reset", [(seed,)] * self.num_workers)

    def send(self, actions: Any) -> None:
        """Begin to step the batch last received with `actions`, a row for each of its rows."""
        self._turns.check_send()
        actions = self._check_actions(actions)
        self._turns.sent()
        start = 0
        with self._closing_on_failure():
            for worker in self._received:
                rows = slice(self._starts[worker], self._stops[worker])
                stop = start + rows.stop - rows.start
                self._actions[rows] = actions[start:stop]
                start = stop
                self._workers.order_step(worker)

    def recv(self) -> Batch:
        """Wait for a batch and return it."""
        self._turns.check_recv()
        with self._closing_on_failure():
            groups = self._workers_per_batch if self._zero_copy else None
            self._received = self._workers.first_ready(self._workers_per_batch, groups)
        self._turns.received()
        infos = Infos()
        for worker in self._received:
            answer = self._workers.take_answer(worker)
            if answer is not None:
                infos.extend(answer)
                infos.env_indices.extend(answer.env_indices)
        return self._batch(infos)

    def _batch(self, infos: Infos) -> Batch:
        """Return the rows of the workers received: views where they lie together."""
        rows, env_ids = self._buffers, self._env_ids
        first, last = self._received[0], self._received[-1]
        if self._zero_copy:  # the workers received are neighbours
            start, stop = self._starts[first], self._stops[last]
            rows, env_ids = rows.rows(start, stop), env_ids[start:stop]
        else:
            env_ids = np.concatenate(
                [env_ids[self._starts[w] : self._stops[w]] for w in self._received]
            )
            rows = Buffers._make(array[env_ids] for array in rows)
        self._final_observations = rows.final_observations
        return Batch(
            rows.observations,
            rows.rewards,
            rows.terminals,
            rows.truncations,
            infos,
            env_ids,
            rows.masks,
        )

    def call(self, name: str, *args: Any, **kwargs: Any) -> list[Any]:
        """Call a method of every environment; return the results."""
        return self._ask_all("call", [(name, args, kwargs)] * self.num_workers)

    def get_attr(self, name: str) -> list[Any]:
        """Return an attribute of every environment."""
        return self._ask_all("get_attr", [(name,)] * self.num_workers)

    def set_attr(self, name: str, values: Any) -> None:
        """Set an attribute of every environment: a list has a value for each, else one for all."""
        each = one_value_each(name, values, self.num_envs)
        n = self.envs_per_worker
        self._ask_all(
            "set_attr", [(name, each[w * n : (w + 1) * n]) for w in range(self.num_workers)]
        )

    def render(self) -> list[Any]:
        """Return what each environment's `render` returns."""
        return self.call("render")

    def close(self) -> None:
        """Close every environment and end every process. May be called again."""
        self._turns.closed()
        self._workers.close()

    def _ask_all(self, command: str, arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Give each worker a command between batches; return all answers in one list."""
        self._turns.check_idle(command)
        if self.batch_size < self.num_envs:
            raise ArgumentError(
                f"{command} reaches all environments, but in a pool (batch_size={self.batch_size} "
                f"of num_envs={self.num_envs}) some are always stepping. Use batch_size=None."
            )
        results: list[Any] = []
        with self._closing_on_failure():
            self._workers.order_all(command, arguments)
            self._workers.first_ready(self.num_workers, None)
            for worker in range(self.num_workers):
                results.extend(self._workers.take_answer(worker) or ())
        return results

    @contextlib.contextmanager
    def _closing_on_failure(self) -> Any:
        try:
            yield
        except WorkerError:
            self.close()
            raise


class _Workers:
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


def _context(start_method: str | None) -> multiprocessing.context.BaseContext:
    allowed = multiprocessing.get_all_start_methods()
    if start_method is None:
        start_method = "fork" if sys.platform == "linux" else "spawn"
    if start_method not in allowed:
        raise ArgumentError(
            f"start_method must be one of {', '.join(allowed)}; got {start_method!r}."
        )
    return multiprocessing.get_context(start_method)


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
