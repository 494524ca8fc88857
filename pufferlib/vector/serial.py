"""All environments in the calling process: for debugging, and for very cheap steps."""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from pufferlib.annotations import Array, Rendered
from pufferlib.arguments import whole_number
from pufferlib.environment import Buffers, StepResult
from pufferlib.exceptions import ArgumentError
from pufferlib.spaces import joint_space
from pufferlib.vector.arguments import (
    EnvArgs,
    EnvCreators,
    EnvKwargs,
    batch_envs,
    creations,
    one_value_each,
    whole_seed,
    worker_count,
)
from pufferlib.vector.batch import Batch, Infos, batch_of
from pufferlib.vector.block import Block, common_description
from pufferlib.vector.calls import answer_of, results_of
from pufferlib.vector.failure import Failure
from pufferlib.vector.interface import ActionCheck, CallOrder, metadata_of
from pufferlib.vector.options import VectorOptions
from pufferlib.vector.published import VectorNames

Result = TypeVar("Result")


class Serial(VectorNames):
    """Step the environments one after the other in this process. Breakpoints in them work.

    Gives the same rows, seeds and errors as `Multiprocessing`. See `VectorEnv` for the interface.

    Args:
        env_creators: see `pufferlib.vector.make`.
        env_args: see there.
        env_kwargs: see there.
        num_envs: how many environments.
        **options: those of `VectorOptions`. They are checked and have no effect, but `batch_size`
            must be None, "auto" or `num_envs`.

    Raises:
        ArgumentError: an argument that is not allowed.
        WorkerError: an environment could not be made.
    """

    num_workers = 1
    num_restarts = 0  # a failure is always raised
    zero_copy = True

    def __init__(
        self,
        env_creators: EnvCreators,
        env_args: EnvArgs = None,
        env_kwargs: EnvKwargs = None,
        num_envs: int = 1,
        **options: Any,
    ) -> None:
        self._order = CallOrder()
        self._block = Block(first_env=0)
        num_envs = whole_number("num_envs", num_envs)
        made = creations(env_creators, env_args, env_kwargs, num_envs)
        given = VectorOptions.from_keywords(type(self).__name__, options)
        worker_count(num_envs, given.num_workers)
        # As if each environment had its own worker, so that every batch_size can be compared.
        batch_size = given.batch_size
        if batch_size != "auto" and batch_envs(num_envs, num_envs, batch_size) < num_envs:
            raise ArgumentError(
                f"Serial steps all environments together; got batch_size={batch_size} of "
                f"num_envs={num_envs}. Use batch_size=None, or the Multiprocessing backend."
            )
        descriptions = self._guarded("__init__", self._block.make, made)
        try:
            description = common_description(descriptions)
        except ArgumentError:
            with contextlib.suppress(Exception):  # the first failure is the one to raise
                self.close()
            raise
        self.driver_env = self._block.envs[0].user_env
        self.num_envs = self.envs_per_worker = self.batch_size = num_envs
        self.agents_per_env = self._block.num_agents
        self.num_agents = self.agents_per_batch = sum(self.agents_per_env)
        self.single_observation_space = description.single_observation_space
        self.single_action_space = description.single_action_space
        self.observation_space = joint_space(self.single_observation_space, self.num_agents)
        self.action_space = joint_space(self.single_action_space, self.num_agents)
        self.observation_layout = description.observation_layout
        self.action_layout = description.action_layout
        self.render_mode, self.metadata = description.render_mode, metadata_of(description)
        self._check_actions = ActionCheck(self.single_action_space, self.num_agents)
        self._buffers = Buffers.allocate(self.single_observation_space, self.num_agents)
        self._env_ids = np.arange(self.num_agents)
        self.lost = np.zeros(self.num_agents, np.bool_)
        self._infos = Infos()
        self._block.bind(self._buffers)

    @property
    def final_observations(self) -> Array:
        """See `VectorEnv`."""
        return self._buffers.final_observations

    def reset(self, seed: int | None = 42) -> tuple[Array, Infos]:
        """Reset all; return (observations, infos). Environment i gets `seed + i`."""
        self.async_reset(seed)
        batch = self.recv()
        return batch.observations, batch.infos

    def step(self, actions: ArrayLike) -> StepResult:
        """Step all; return (observations, rewards, terminals, truncations, infos)."""
        self.send(actions)
        self._order.advance("recv")
        rows = self._buffers
        return rows.observations, rows.rewards, rows.terminals, rows.truncations, self._infos

    def async_reset(self, seed: int | None = 42) -> None:
        """Reset all; `recv` returns the first observations."""
        seed = whole_seed(seed)
        self._order.advance("reset")
        self._infos = self._guarded("reset", self._block.reset, seed)

    def send(self, actions: ArrayLike) -> None:
        """Step all with `actions`, (num_agents, *single_action_space.shape)."""
        self._order.check("send")
        actions = self._check_actions(actions)
        self._order.advance("send")
        self._infos = self._guarded("step", self._block.step, actions)

    def recv(self) -> Batch:
        """Return the batch."""
        self._order.advance("recv")
        return batch_of(self._buffers, self._infos, self._env_ids, self.lost)

    def call(self, name: str, *args: object, **kwargs: object) -> list[Any]:
        """See `VectorEnv`."""
        return self._ask("call", (name, args, kwargs))

    def has_attr(self, name: str) -> bool:
        """Return whether every environment has the attribute `name`."""
        return all(self._ask("has_attr", (name,)))

    def get_attr(self, name: str) -> list[Any]:
        """Return an attribute of every environment."""
        return self._ask("get_attr", (name,))

    def set_attr(self, name: str, values: object) -> None:
        """Set an attribute of every environment: a list has a value for each, else one for all."""
        self._ask("set_attr", (name, one_value_each(name, values, self.num_envs)))

    def render(self) -> list[Rendered]:
        """Return the result of each environment's `render`."""
        return self.call("render")

    def close(self) -> None:
        """Close every environment. May be called again."""
        self._order.advance("close")
        self._block.close()

    def _ask(self, command: str, arguments: Sequence[object]) -> list[Any]:
        """Call into every environment between batches; return the results."""
        self._order.check(command)
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
