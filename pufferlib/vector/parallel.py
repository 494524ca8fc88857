"""What the backends with workers share: rows, batches, pools, and calls into environments."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pufferlib.annotations import Array, Options, Rendered
from pufferlib.environment import Buffers, StepResult
from pufferlib.exceptions import ArgumentError
from pufferlib.spaces import joint_space
from pufferlib.vector.arguments import (
    Indices,
    Seed,
    env_indices,
    one_value_each,
    refuse_in_pool,
)
from pufferlib.vector.autoreset import (
    DEFAULT_SEED,
    Autoreset,
    check_in_batch,
    check_not_over,
    first_rows,
    reset_arguments,
)
from pufferlib.vector.batch import Batch, Infos, batch_of
from pufferlib.vector.block import Description
from pufferlib.vector.calls import Asked, results_of
from pufferlib.vector.interface import ActionCheck, CallOrder, metadata_of
from pufferlib.vector.pickling import pickled
from pufferlib.vector.published import VectorNames
from pufferlib.vector.restart import RestartRule
from pufferlib.vector.worker_group import WorkerGroup
from pufferlib.vector.worker_tracker import Lost


class Parallel(VectorNames):
    """A `VectorEnv` over a group of workers, which a backend provides.

    Args:
        workers: closed here if their environments cannot be used together.
        num_envs: how many environments.
        num_workers: among which they are divided evenly.
        batch_size: environments in a batch.
        zero_copy: batches are views of neighboring workers' rows.
        restart_rule: that of `workers`.
        autoreset: that of `workers`.

    Raises:
        ArgumentError: the environments differ.
        WorkerError: an environment could not be made.
    """

    def __init__(
        self,
        workers: WorkerGroup,
        num_envs: int,
        num_workers: int,
        batch_size: int,
        zero_copy: bool,
        restart_rule: RestartRule,
        autoreset: Autoreset = "same_step",
    ) -> None:
        self.autoreset = autoreset
        self._order = CallOrder()
        self._workers, self._restart_rule, self.zero_copy = workers, restart_rule, zero_copy
        self.num_envs, self.num_workers, self.batch_size = num_envs, num_workers, batch_size
        self.envs_per_worker = num_envs // num_workers
        self._workers_per_batch = batch_size // self.envs_per_worker
        try:
            self._assign_rows(*self._workers.descriptions())
        except BaseException:
            self.close()
            raise

    def _assign_rows(self, description: Description, num_agents: list[int]) -> None:
        """Allocate the rows of all environments and give each worker its own."""
        self.single_observation_space = description.single_observation_space
        self.single_action_space = description.single_action_space
        self.observation_layout = description.observation_layout
        self.action_layout = description.action_layout
        self.render_mode = description.render_mode
        self.metadata = metadata_of(description, self.autoreset)
        self._takes_options = description.takes_options
        self.num_seeds = self.num_envs * description.num_seeds
        self.agents_per_env = num_agents
        self.num_agents = sum(num_agents)
        per_worker = np.sum(np.reshape(num_agents, (self.num_workers, -1)), axis=1)
        if self.batch_size < self.num_envs and np.ptp(per_worker):
            raise ArgumentError(
                f"The workers of a pool need equally many agents, so that all batches have the "
                f"same size; got {per_worker.tolist()}. Use batch_size=None, or environments with "
                f"the same number of agents."
            )
        stops = np.cumsum(per_worker)
        self._stops, self._starts = stops.tolist(), (stops - per_worker).tolist()
        self.agents_per_batch = self.num_agents * self.batch_size // self.num_envs
        self.observation_space = joint_space(self.single_observation_space, self.agents_per_batch)
        self.action_space = joint_space(self.single_action_space, self.agents_per_batch)
        self._check_actions = ActionCheck(self.single_action_space, self.agents_per_batch)
        self._buffers, self._actions = self._workers.allocate_rows(self.num_agents, self._starts)
        self._env_ids = np.arange(self.num_agents)
        self._first_rows = first_rows(num_agents)
        self._received: list[int] = []
        self._final_observations = self._buffers.final_observations
        self._lost = np.zeros(self.num_agents, np.bool_)
        self.lost = self._lost
        # The arrays of a batch that begins with a worker, by worker.
        self._views: dict[int, tuple[Buffers, NDArray[np.int64], NDArray[np.bool_]]] = {}
        # A process that fails may have corrupted its rows: keep the observations last returned.
        self._returned = self._buffers.observations.copy() if self._restart_rule.restarts else None

    @property
    def num_restarts(self) -> int:
        """See `VectorEnv`."""
        return self._restart_rule.num_restarts

    @property
    def final_observations(self) -> Array:
        """See `VectorEnv`."""
        return self._final_observations

    def reset(
        self, seed: Seed = DEFAULT_SEED, options: Options | None = None
    ) -> tuple[Array, Infos]:
        """Reset all; return (observations, infos) of a batch. See `VectorEnv`."""
        self.async_reset(seed, options)
        batch = self.recv()
        return batch.observations, batch.infos

    def step(self, actions: ArrayLike) -> StepResult:
        """Step a batch; return (observations, rewards, terminals, truncations, infos)."""
        self.send(actions)
        return self.step_wait()

    def async_reset(self, seed: Seed = DEFAULT_SEED, options: Options | None = None) -> None:
        """Begin to reset environments: all, including those that are still stepping, or some."""
        seeds, options, mask = reset_arguments(
            *(seed, options, self.num_envs, self.num_seeds),
            *(self._takes_options, self._order.is_new),
        )
        pickled("The options of reset", options)  # an error, if they cannot be sent to a worker
        n = self.envs_per_worker
        own = [(seeds[w * n : (w + 1) * n], options) for w in range(self.num_workers)]
        if mask is None:
            self._order.advance("reset")
            self._lost[:] = False
            with self._closing_on_failure():
                self._workers.drain()
                self._workers.order_all("reset", own)
            return
        self._order.check("masked reset")
        check_in_batch(mask, self._env_indices())
        self._order.advance("masked reset")
        self._forget_lost()
        with self._closing_on_failure():
            masks = np.reshape(mask, (self.num_workers, n))
            self._workers.reset_some({w: (*own[w], masks[w]) for w in self._received})

    def send(self, actions: ArrayLike) -> None:
        """Begin to step the batch last received with `actions`, a row for each of its rows."""
        self._order.check("send")
        actions = self._check_actions(actions)
        if self.autoreset == "disabled":
            acting = self._buffers.masks | self._lost
            check_not_over(acting, self._first_rows, self._env_indices())
        self._order.advance("send")
        self._forget_lost()
        if self.zero_copy:  # the workers received are neighbors
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
        rows, infos, env_ids = self._receive("recv")
        return batch_of(rows, infos, env_ids, self.lost)

    def step_async(self, actions: ArrayLike) -> None:
        """Begin to step, as `send` does."""
        self.send(actions)

    def step_wait(self) -> StepResult:
        """Wait for a batch, as `recv` does; return what `step` returns."""
        rows, infos, _ = self._receive("step_wait")
        return rows.observations, rows.rewards, rows.terminals, rows.truncations, infos

    def _receive(self, call: str) -> tuple[Buffers, Infos, NDArray[np.int64]]:
        """Wait for a batch; return its rows, copied unless `zero_copy`, their infos and indices."""
        self._order.advance(call)  # a failure below closes
        try:
            group_size = self._workers_per_batch if self.zero_copy else None
            self._received = self._workers.first_ready(self._workers_per_batch, group_size)
        except BaseException:
            self._close_after_failure()
            raise
        infos = Infos()
        for worker in self._received:
            answer = self._workers.take_answer(worker)
            if answer is not None:
                self._add_answer(worker, answer, infos)
        if self.zero_copy:
            first = self._received[0]
            if first not in self._views:
                start, stop = self._starts[first], self._stops[self._received[-1]]
                views = self._buffers.rows(start, stop)
                self._views[first] = views, self._env_ids[start:stop], self._lost[start:stop]
            rows, env_ids, self.lost = self._views[first]
        else:
            env_ids = np.concatenate(
                [self._env_ids[self._starts[w] : self._stops[w]] for w in self._received]
            )
            rows = Buffers._make(array[env_ids] for array in self._buffers)
            self.lost = self._lost[env_ids]
        self._final_observations = rows.final_observations
        if self._returned is not None:
            self._returned[env_ids] = rows.observations
        return rows, infos, env_ids

    def _add_answer(self, worker: int, answer: Infos | Lost, infos: Infos) -> None:
        """Append the infos of a worker; if it was lost, write that into its rows."""
        if isinstance(answer, Lost):
            self._write_lost(worker)
            infos.extend_from(worker * self.envs_per_worker, [answer.info])
        else:
            infos.extend(answer)
            infos.env_indices.extend(answer.env_indices)

    def _write_lost(self, worker: int) -> None:
        """Truncate the episodes of a worker that is being replaced."""
        assert self._returned is not None
        rows = slice(self._starts[worker], self._stops[worker])
        self._buffers.final_observations[rows] = self._returned[rows]
        self._clear_lost(worker)
        self._lost[rows] = True

    def _env_indices(self) -> list[int]:
        """Return the environments of the batch last received."""
        n = self.envs_per_worker
        return [worker * n + each for worker in self._received for each in range(n)]

    def _forget_lost(self) -> None:
        """Continue with the last batch: nothing of the next one is lost so far."""
        if self._restart_rule.num_restarts:
            for worker in self._received:
                self._lost[self._starts[worker] : self._stops[worker]] = False

    def _clear_lost(self, worker: int) -> None:
        assert self._returned is not None
        start, stop = self._starts[worker], self._stops[worker]
        rows = self._buffers.rows(start, stop)
        shows_last = self.autoreset != "same_step"
        rows.observations[:] = self._returned[start:stop] if shows_last else 0
        rows.rewards[:] = 0
        rows.terminals[:] = rows.masks[:] = False
        rows.truncations[:] = True

    def call(
        self, name: str, *args: object, indices: Indices = None, **kwargs: object
    ) -> list[Any]:
        """See `VectorEnv`."""
        asked = self._asked(indices)
        own = [(name, positions, args, kwargs) for positions in asked.positions()]
        return asked.in_order(self._ask("call", own))

    def has_attr(self, name: str, indices: Indices = None) -> bool:
        """Return whether every environment has the attribute `name`."""
        own = [(name, positions) for positions in self._asked(indices).positions()]
        return all(self._ask("has_attr", own))

    def get_attr(self, name: str, indices: Indices = None) -> list[Any]:
        """Return an attribute of every environment."""
        asked = self._asked(indices)
        own = [(name, positions) for positions in asked.positions()]
        return asked.in_order(self._ask("get_attr", own))

    def set_attr(self, name: str, values: object, indices: Indices = None) -> None:
        """Set an attribute of every environment: a list has a value for each, else one for all."""
        asked = self._asked(indices)
        each = asked.by_worker(one_value_each(name, values, len(asked.envs)))
        own = [(name, *both) for both in zip(asked.positions(), each, strict=True)]
        self._ask("set_attr", own)

    def render(self, indices: Indices = None) -> list[Rendered]:
        """Return the result of each environment's `render`."""
        return self.call("render", indices=indices)

    def close(self) -> None:
        """Close every environment and end every worker. May be called again."""
        self._order.advance("close")
        try:
            self._workers.close()
        finally:
            self._close_driver()

    def _asked(self, indices: Indices) -> Asked:
        envs = env_indices(indices, self.num_envs)
        return Asked(envs, self.num_workers, self.envs_per_worker)

    def _ask(self, command: str, arguments: Sequence[tuple[object, ...]]) -> list[Any]:
        """Call into environments between batches; return all results in one list, by worker.

        An exception of an environment is raised when all workers have answered; a worker that dies
        or exceeds the timeout closes everything.
        """
        self._order.check(command)
        refuse_in_pool(command, self.batch_size, self.num_envs)
        with self._closing_on_failure():
            self._workers.begin_call()
        try:
            with self._closing_on_failure(but=ArgumentError), self._restart_rule.suspended():
                self._workers.order_all(command, arguments)
                self._workers.first_ready(self.num_workers, None)
                answers = [self._workers.take_answer(w) for w in range(self.num_workers)]
        finally:
            self._workers.end_call()
            for worker in self._received:
                if self._lost[self._starts[worker]]:
                    self._clear_lost(worker)
        return results_of(answers)

    @contextlib.contextmanager
    def _closing_on_failure(self, but: type[BaseException] | tuple[()] = ()) -> Iterator[None]:
        try:
            yield
        except but:
            raise
        except BaseException:
            self._close_after_failure()
            raise

    def _close_after_failure(self) -> None:
        """Close; after Ctrl+C too, since the workers' answers are then unknown."""
        with contextlib.suppress(Exception):  # the first failure is the one to raise
            self.close()
