"""All environments in the calling process: for debugging, and for very cheap steps."""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from pufferlib.annotations import Array, Options, Rendered
from pufferlib.arguments import whole_number
from pufferlib.environment import Buffers, StepResult
from pufferlib.exceptions import ArgumentError
from pufferlib.spaces import joint_space
from pufferlib.vector.arguments import (
    EnvArgs,
    EnvCreators,
    EnvKwargs,
    Indices,
    Seed,
    batch_envs,
    check_zero_copy,
    creations,
    env_indices,
    one_value_each,
    refuse_in_pool,
    worker_count,
)
from pufferlib.vector.autoreset import (
    DEFAULT_SEED,
    check_in_batch,
    check_not_over,
    first_rows,
    reset_arguments,
)
from pufferlib.vector.batch import Batch, Infos, batch_of
from pufferlib.vector.block import Block, Description, common_description
from pufferlib.vector.calls import answer_of, results_of
from pufferlib.vector.failure import Failure
from pufferlib.vector.interface import ActionCheck, CallOrder, metadata_of
from pufferlib.vector.options import VectorOptions
from pufferlib.vector.published import VectorNames
from pufferlib.vector.serial_pool import SerialPool

Result = TypeVar("Result")


class Serial(VectorNames):
    """Step the environments one after the other in this process. Breakpoints in them work.

    Gives the same rows, seeds and errors as `Multiprocessing`. See `VectorEnv` for the interface.

    With `batch_size` below `num_envs` it is a pool, as `Multiprocessing` is: `recv` returns some of
    the environments, and `send` steps these. They take turns, so every run has the same batches.

    Args:
        env_creators: see `pufferlib.vector.make`.
        env_args: see there.
        env_kwargs: see there.
        num_envs: how many environments.
        **options: those of `VectorOptions`. They are checked and have no effect, except
            `autoreset`, `batch_size`, if it is a number, and `zero_copy` in a pool.

    Raises:
        ArgumentError: an argument that is not allowed.
        WorkerError: an environment could not be made.
    """

    num_workers = 1
    num_restarts = 0  # a failure is always raised

    def __init__(
        self,
        env_creators: EnvCreators,
        env_args: EnvArgs = None,
        env_kwargs: EnvKwargs = None,
        num_envs: int = 1,
        **options: Any,
    ) -> None:
        self._order = CallOrder()
        num_envs = whole_number("num_envs", num_envs)
        made = creations(env_creators, env_args, env_kwargs, num_envs)
        given = VectorOptions.from_keywords(type(self).__name__, options)
        self.autoreset = given.autoreset
        self._block = Block(first_env=0, autoreset=given.autoreset)
        batch_size = _batch_size(given, num_envs)
        is_pool = batch_size < num_envs
        descriptions = self._guarded("__init__", self._block.make, made)
        self.num_envs = self.envs_per_worker = num_envs
        self.batch_size, self.zero_copy = batch_size, bool(given.zero_copy) or not is_pool
        try:
            self._assign_rows(common_description(descriptions))
        except ArgumentError:
            with contextlib.suppress(Exception):  # the first failure is the one to raise
                self.close()
            raise
        self.driver_env = self._block.envs[0].user_env

    def _assign_rows(self, description: Description) -> None:
        """Allocate the rows of all environments, and make a pool if batches have fewer."""
        self.agents_per_env = self._block.num_agents
        self.num_agents = sum(self.agents_per_env)
        self.agents_per_batch = self.num_agents * self.batch_size // self.num_envs
        self.single_observation_space = description.single_observation_space
        self.single_action_space = description.single_action_space
        self.observation_space = joint_space(self.single_observation_space, self.agents_per_batch)
        self.action_space = joint_space(self.single_action_space, self.agents_per_batch)
        self.observation_layout = description.observation_layout
        self.action_layout = description.action_layout
        self.render_mode = description.render_mode
        self.metadata = metadata_of(description, self.autoreset)
        self._takes_options = description.takes_options
        self.num_seeds = self.num_envs * description.num_seeds
        self._check_actions = ActionCheck(self.single_action_space, self.agents_per_batch)
        self._buffers = Buffers.allocate(self.single_observation_space, self.num_agents)
        self._rows = self._buffers  # of a batch
        self._env_ids = np.arange(self.num_agents)
        self._first_rows = first_rows(self.agents_per_env)
        self.lost = np.zeros(self.agents_per_batch, np.bool_)
        self._infos = Infos()
        self._pool: SerialPool | None = None
        if self.batch_size < self.num_envs:
            self._pool = SerialPool(self._block, self._buffers, self.batch_size, self.zero_copy)
            self._reset_some, self._step_batch = self._pool.reset, self._pool.step
        else:
            self._block.bind(self._buffers)
            self._reset_some, self._step_batch = self._block.reset, self._block.step

    @property
    def final_observations(self) -> Array:
        """See `VectorEnv`."""
        return self._rows.final_observations

    def reset(
        self, seed: Seed = DEFAULT_SEED, options: Options | None = None
    ) -> tuple[Array, Infos]:
        """Reset all; return (observations, infos). See `VectorEnv`."""
        self.async_reset(seed, options)
        batch = self.recv()
        return batch.observations, batch.infos

    def step(self, actions: ArrayLike) -> StepResult:
        """Step all; return (observations, rewards, terminals, truncations, infos)."""
        self.send(actions)
        return self.step_wait()

    def async_reset(self, seed: Seed = DEFAULT_SEED, options: Options | None = None) -> None:
        """Reset all, or some; `recv` returns the first observations."""
        seeds, options, mask = reset_arguments(
            *(seed, options, self.num_envs, self.num_seeds),
            *(self._takes_options, self._order.is_new),
        )
        if mask is None:
            self._order.advance("reset")
        else:
            self._order.check("masked reset")
            check_in_batch(mask, self._env_indices())
            self._order.advance("masked reset")
        self._infos = self._guarded("reset", self._reset_some, seeds, options, mask)
        if self._pool is not None:
            self._rows, self._env_ids = self._pool.rows, self._pool.env_ids

    def send(self, actions: ArrayLike) -> None:
        """Step the batch with `actions`, (agents_per_batch, *single_action_space.shape)."""
        self._order.check("send")
        actions = self._check_actions(actions)
        if self.autoreset == "disabled":
            check_not_over(self._buffers.masks, self._first_rows, self._env_indices())
        self._order.advance("send")
        self._infos = self._guarded("step", self._step_batch, actions)
        if self._pool is not None:
            self._rows, self._env_ids = self._pool.rows, self._pool.env_ids

    def recv(self) -> Batch:
        """Return the batch."""
        self._order.advance("recv")
        return batch_of(self._rows, self._infos, self._env_ids, self.lost)

    def step_async(self, actions: ArrayLike) -> None:
        """Begin to step, as `send` does."""
        self.send(actions)

    def step_wait(self) -> StepResult:
        """Return what `step` returns, after `step_async`."""
        self._order.advance("step_wait")
        rows = self._rows
        return rows.observations, rows.rewards, rows.terminals, rows.truncations, self._infos

    def call(
        self, name: str, *args: object, indices: Indices = None, **kwargs: object
    ) -> list[Any]:
        """See `VectorEnv`."""
        return self._ask("call", name, env_indices(indices, self.num_envs), args, kwargs)

    def has_attr(self, name: str, indices: Indices = None) -> bool:
        """Return whether every environment has the attribute `name`."""
        return all(self._ask("has_attr", name, env_indices(indices, self.num_envs)))

    def get_attr(self, name: str, indices: Indices = None) -> list[Any]:
        """Return an attribute of every environment."""
        return self._ask("get_attr", name, env_indices(indices, self.num_envs))

    def set_attr(self, name: str, values: object, indices: Indices = None) -> None:
        """Set an attribute of every environment: a list has a value for each, else one for all."""
        envs = env_indices(indices, self.num_envs)
        self._ask("set_attr", name, envs, one_value_each(name, values, len(envs)))

    def render(self, indices: Indices = None) -> list[Rendered]:
        """Return the result of each environment's `render`."""
        return self.call("render", indices=indices)

    def close(self) -> None:
        """Close every environment. May be called again."""
        self._order.advance("close")
        self._block.close()

    def _env_indices(self) -> Sequence[int]:
        """Return the environments of the batch last received."""
        return range(self.num_envs) if self._pool is None else self._pool.env_indices

    def _ask(self, command: str, *arguments: object) -> list[Any]:
        """Call into environments between batches; return the results."""
        self._order.check(command)
        refuse_in_pool(command, self.batch_size, self.num_envs)
        return results_of([answer_of(self._block, command, arguments, worker=None)])

    def _guarded(self, name: str, method: Callable[..., Result], *args: Any) -> Result:
        """Call a method of the block; raise an exception of an environment as a WorkerError."""
        try:
            return method(*args)
        except Exception as error:
            failure = Failure.of(error, self._block, name, worker=None)
            self._order.advance("close")
            with contextlib.suppress(Exception):  # the first failure is the one to raise
                self._block.close()
            raise failure.to_error() from error


def _batch_size(options: VectorOptions, num_envs: int) -> int:
    """Return the environments in a batch: all, unless `batch_size` is a number.

    Raises:
        ArgumentError: `Multiprocessing` would refuse the options with any number of workers.
    """
    is_given = options.num_workers not in (None, "auto")
    num_workers = worker_count(num_envs, options.num_workers) if is_given else num_envs
    size = None if options.batch_size == "auto" else options.batch_size
    batch_size = batch_envs(num_envs, num_workers, size)
    check_zero_copy(options.zero_copy, num_envs, num_workers, batch_size)
    return batch_size
