"""Environments in several processes that write into shared memory."""

import contextlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pufferlib.environment import Buffers, StepResult
from pufferlib.exceptions import ArgumentError, WorkerError
from pufferlib.spaces import joint_space
from pufferlib.vector.arguments import (
    batch_envs,
    check_flag,
    check_timeout,
    count,
    creations,
    one_value_each,
    start_context,
    worker_count,
)
from pufferlib.vector.batch import Batch, Infos
from pufferlib.vector.block import Description
from pufferlib.vector.interface import METADATA, ActionCheck, Turns
from pufferlib.vector.memory import RowMemory
from pufferlib.vector.restart import RestartPolicy
from pufferlib.vector.workers import Lost, Workers


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
        zero_copy: return views of rows that lie together, so that a batch of a pool is always the
            same neighbouring workers. If False, any workers that are ready, always copied.
        start_method: "fork", "forkserver" or "spawn". None: fork on Linux, else spawn.
        timeout_s: seconds that a worker process may take to make its environments, to reset or to
            step them. None: for ever.
        caller_steps: the last of the `num_workers` is the caller itself, which steps its share in
            `recv`: one process less, and faster where the caller has nothing else to do meanwhile.
            Its environments live in this process: a crash in one is a crash here, and `timeout_s`
            and `on_failure` do not reach them. Not for a pool.
        on_failure: "raise", or "restart": a worker whose environment raises, that dies or exceeds
            `timeout_s` is replaced by a new process with new environments. In the batch that
            reports it, `lost` is True in its rows: reward 0, `terminals` False, `truncations` True
            with the observation that was last handed out as the final one, and `masks` False. The
            batch after that has the first observations of new episodes. An info of its first
            environment says {"restarted": reason, "worker": its index}.
        max_restarts: after so many the next failure is raised; None: no limit.

    Attributes:
        lost: bool (rows,) of the last batch, the outcome of the step was lost.
        num_restarts: how many workers have been replaced.

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
        caller_steps: bool = False,
        on_failure: str = "raise",
        max_restarts: int | None = 10,
    ) -> None:
        self._turns = Turns()
        self.num_envs = num_envs = count("num_envs", num_envs)
        made = creations(env_creators, env_args, env_kwargs, num_envs)
        self.num_workers = worker_count(num_envs, num_workers)
        self.batch_size = batch_envs(num_envs, self.num_workers, batch_size)
        self.envs_per_worker = num_envs // self.num_workers
        self._workers_per_batch = self.batch_size // self.envs_per_worker
        check_flag("zero_copy", zero_copy)
        self._zero_copy = zero_copy
        if zero_copy and self.num_workers % self._workers_per_batch:
            raise ArgumentError(
                f"zero_copy needs batches that split the workers evenly; got "
                f"num_workers={self.num_workers}, of which batch_size={self.batch_size} takes "
                f"{self._workers_per_batch}. Use a batch_size that divides num_envs={num_envs}, or "
                f"zero_copy=False."
            )
        check_timeout(timeout_s)
        check_flag("caller_steps", caller_steps)
        if caller_steps and (self.num_workers < 2 or self.batch_size < num_envs):
            raise ArgumentError(
                f"caller_steps needs num_workers of at least 2, of which the caller is one, and no "
                f"pool; got num_workers={self.num_workers}, batch_size={self.batch_size} of "
                f"num_envs={num_envs}. Use the Serial backend for one worker, or batch_size=None."
            )
        self._policy = RestartPolicy(on_failure, max_restarts)
        context = start_context(start_method)
        self._workers = Workers(
            made, self.num_workers, timeout_s, context, bool(caller_steps), self._policy
        )
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
        stops = np.cumsum(per_worker)
        self._stops, self._starts = stops.tolist(), (stops - per_worker).tolist()
        self.agents_per_batch = self.num_agents * self.batch_size // self.num_envs
        self.observation_space = joint_space(self.single_observation_space, self.agents_per_batch)
        self.action_space = joint_space(self.single_action_space, self.agents_per_batch)
        self._check_actions = ActionCheck(self.single_action_space, self.agents_per_batch)
        memory = RowMemory(
            self.single_observation_space,
            self.single_action_space,
            self.num_agents,
            self.num_workers,
        )
        self._buffers, self._actions = self._workers.share(memory, self.num_agents, self._starts)
        self._env_ids = np.arange(self.num_agents)
        self._received: list[int] = []
        self._final_observations = self._buffers.final_observations
        self._lost = np.zeros(self.num_agents, np.bool_)
        self.lost = self._lost
        # What batches are made of: of the neighbours that a worker is the first of.
        self._views: dict[int, tuple[Buffers, NDArray[np.int64], NDArray[np.bool_]]] = {}
        # A process that fails may have spoilt its rows: keep what was handed out of them.
        self._handed_out = self._buffers.observations.copy() if self._policy.restarts else None

    @property
    def num_restarts(self) -> int:
        return self._policy.num_restarts

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
        self._lost[:] = False
        with self._closing_on_failure():
            self._workers.drain()
            self._workers.order_all("reset", [(seed,)] * self.num_workers)

    def send(self, actions: Any) -> None:
        """Begin to step the batch last received with `actions`, a row for each of its rows."""
        self._turns.check_send()
        actions = self._check_actions(actions)
        self._turns.sent()
        if self._policy.num_restarts:
            for worker in self._received:
                self._lost[self._starts[worker] : self._stops[worker]] = False
        if self._zero_copy:  # the workers received are neighbours
            first, last = self._received[0], self._received[-1]
            self._actions[self._starts[first] : self._stops[last]] = actions
        else:
            start = 0
            for worker in self._received:
                rows = slice(self._starts[worker], self._stops[worker])
                stop = start + rows.stop - rows.start
                self._actions[rows] = actions[start:stop]
                start = stop
        try:
            for worker in self._received:
                self._workers.order_step(worker)
        except WorkerError:
            self.close()
            raise

    def recv(self) -> Batch:
        """Wait for a batch and return it."""
        self._turns.check_recv()
        try:
            groups = self._workers_per_batch if self._zero_copy else None
            self._received = self._workers.first_ready(self._workers_per_batch, groups)
        except WorkerError:
            self.close()
            raise
        self._turns.received()
        infos = Infos()
        for worker in self._received:
            answer = self._workers.take_answer(worker)
            if answer is not None:
                self._note(worker, answer, infos)
        batch = self._batch(infos)
        if self._handed_out is not None:
            self._handed_out[batch.env_ids] = batch.observations
        return batch

    def _note(self, worker: int, answer: Any, infos: Infos) -> None:
        """Take the infos of a worker, or what there is to say of one that was lost."""
        if isinstance(answer, Lost):
            self._write_lost(worker)
            infos.extend_from(worker * self.envs_per_worker, [answer.info])
        else:
            infos.extend(answer)
            infos.env_indices.extend(answer.env_indices)

    def _write_lost(self, worker: int) -> None:
        """Cut off the episodes of a worker that is being replaced."""
        assert self._handed_out is not None
        mine = slice(self._starts[worker], self._stops[worker])
        rows = self._buffers.rows(mine.start, mine.stop)
        rows.final_observations[:] = self._handed_out[mine]
        rows.observations[:] = 0
        rows.rewards[:] = 0
        rows.terminals[:] = rows.masks[:] = False
        rows.truncations[:] = True
        self._lost[mine] = True

    def _batch(self, infos: Infos) -> Batch:
        """Return the rows of the workers received: copied unless `zero_copy`."""
        if self._zero_copy:
            first = self._received[0]
            if first not in self._views:
                start, stop = self._starts[first], self._stops[self._received[-1]]
                mine = self._buffers.rows(start, stop)
                self._views[first] = mine, self._env_ids[start:stop], self._lost[start:stop]
            rows, env_ids, self.lost = self._views[first]
        else:
            env_ids = np.concatenate(
                [self._env_ids[self._starts[w] : self._stops[w]] for w in self._received]
            )
            rows = Buffers._make(array[env_ids] for array in self._buffers)
            self.lost = self._lost[env_ids]
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
