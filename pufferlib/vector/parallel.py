"""What the backends with workers share: rows, batches, pools, and calls into environments."""

import contextlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pufferlib.environment import Buffers, StepResult
from pufferlib.exceptions import ArgumentError
from pufferlib.spaces import joint_space
from pufferlib.vector.arguments import one_value_each, whole_seed
from pufferlib.vector.batch import Batch, Infos
from pufferlib.vector.block import Description
from pufferlib.vector.interface import METADATA, ActionCheck, Turns
from pufferlib.vector.ledger import Lost
from pufferlib.vector.restart import RestartPolicy
from pufferlib.vector.worker_group import WorkerGroup


class Parallel:
    """A `VectorEnv` over the rows of a group of workers; a backend says who they are.

    Args:
        workers: closed here if their environments cannot be used together.
        num_envs: how many environments.
        num_workers: among which they are divided evenly.
        batch_size: environments in a batch.
        zero_copy: batches are views of neighbouring workers' rows.
        policy: that of `workers`.

    Raises:
        ArgumentError: the environments differ.
        WorkerError: an environment could not be made.
    """

    metadata = METADATA

    def __init__(
        self,
        workers: WorkerGroup,
        num_envs: int,
        num_workers: int,
        batch_size: int,
        zero_copy: bool,
        policy: RestartPolicy,
    ) -> None:
        self._turns = Turns()
        self._workers, self._policy, self.zero_copy = workers, policy, zero_copy
        self.num_envs, self.num_workers, self.batch_size = num_envs, num_workers, batch_size
        self.envs_per_worker = num_envs // num_workers
        self._workers_per_batch = batch_size // self.envs_per_worker
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
        self._buffers, self._actions = self._workers.share(self.num_agents, self._starts)
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
        seed = whole_seed(seed)
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
        if self.zero_copy:  # the workers received are neighbours
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
        except BaseException:
            self._close_after_failure()
            raise

    def recv(self) -> Batch:
        """Wait for a batch and return it."""
        self._turns.check_recv()
        try:
            groups = self._workers_per_batch if self.zero_copy else None
            self._received = self._workers.first_ready(self._workers_per_batch, groups)
        except BaseException:
            self._close_after_failure()
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
        self._buffers.final_observations[mine] = self._handed_out[mine]
        self._clear_lost(worker)
        self._lost[mine] = True

    def _clear_lost(self, worker: int) -> None:
        rows = self._buffers.rows(self._starts[worker], self._stops[worker])
        rows.observations[:] = 0
        rows.rewards[:] = 0
        rows.terminals[:] = rows.masks[:] = False
        rows.truncations[:] = True

    def _batch(self, infos: Infos) -> Batch:
        """Return the rows of the workers received: copied unless `zero_copy`."""
        if self.zero_copy:
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
            self._workers.settle()
        try:
            with self._closing_on_failure(but=ArgumentError), self._policy.suspended():
                self._workers.order_all(command, arguments)
                self._workers.first_ready(self.num_workers, None)
                for worker in range(self.num_workers):
                    results.extend(self._workers.take_answer(worker) or ())
        finally:
            self._workers.unsettle()
            for worker in self._received:
                if self._lost[self._starts[worker]]:
                    self._clear_lost(worker)
        return results

    @contextlib.contextmanager
    def _closing_on_failure(self, but: Any = ()) -> Any:
        try:
            yield
        except but:
            raise
        except BaseException:
            self._close_after_failure()
            raise

    def _close_after_failure(self) -> None:
        """Close; also after Ctrl+C, when nobody knows what the workers have answered."""
        with contextlib.suppress(Exception):  # the first failure is the one to tell
            self.close()
