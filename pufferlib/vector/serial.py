"""All environments in the caller's own process: for debugging, and for very cheap steps."""

import contextlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pufferlib.arguments import whole_number
from pufferlib.environment import Buffers, StepResult
from pufferlib.exceptions import ArgumentError
from pufferlib.spaces import joint_space
from pufferlib.vector.arguments import (
    batch_envs,
    check_flag,
    check_timeout,
    creations,
    one_value_each,
    start_context,
    whole_seed,
    worker_count,
)
from pufferlib.vector.batch import Batch, Infos
from pufferlib.vector.block import Block, common_description
from pufferlib.vector.failure import Failure
from pufferlib.vector.interface import METADATA, ActionCheck, Turns
from pufferlib.vector.restart import RestartPolicy


class Serial:
    """Step the environments one after the other, here. Breakpoints in them work.

    Gives the same rows, seeds and errors as `Multiprocessing`. See `VectorEnv` for the interface.

    Args:
        env_creators: see `pufferlib.vector.make`.
        env_args: see there.
        env_kwargs: see there.
        num_envs: how many environments.
        num_workers: this and what follows is what `Multiprocessing` takes, so that the same call
            works on either backend; checked in the same way, to no effect.
        batch_size: None, "auto" or `num_envs`: there is no pool.
        zero_copy: no effect; batches are views.
        start_method: no effect.
        timeout_s: no effect.
        caller_steps: no effect; it always does.
        on_failure: no effect; a failure is raised.
        max_restarts: no effect.

    Raises:
        ArgumentError: an argument that cannot be.
        WorkerError: an environment could not be made.
    """

    metadata = METADATA
    num_workers = 1
    zero_copy = True

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
        self._block = Block(first_env=0)
        num_envs = whole_number("num_envs", num_envs)
        made = creations(env_creators, env_args, env_kwargs, num_envs)
        worker_count(num_envs, num_workers)
        check_flag("zero_copy", zero_copy)
        check_flag("caller_steps", caller_steps)
        RestartPolicy(on_failure, max_restarts)
        start_context(start_method)
        check_timeout(timeout_s)
        # As if each had a worker of its own: then no size is refused for splitting one.
        if batch_size != "auto" and batch_envs(num_envs, num_envs, batch_size) < num_envs:
            raise ArgumentError(
                f"Serial steps all environments together; got batch_size={batch_size} of "
                f"num_envs={num_envs}. Use batch_size=None, or the Multiprocessing backend."
            )
        descriptions = self._guarded("__init__", self._block.make, made)
        try:
            description = common_description(descriptions)
        except ArgumentError:
            self.close()
            raise
        self.num_envs = self.batch_size = num_envs
        self.agents_per_env = self._block.num_agents
        self.num_agents = self.agents_per_batch = sum(self.agents_per_env)
        self.single_observation_space = description.single_observation_space
        self.single_action_space = description.single_action_space
        self.observation_space = joint_space(self.single_observation_space, self.num_agents)
        self.action_space = joint_space(self.single_action_space, self.num_agents)
        self.observation_layout = description.observation_layout
        self.action_layout = description.action_layout
        self.render_mode = description.render_mode
        self._check_actions = ActionCheck(self.single_action_space, self.num_agents)
        self._buffers = Buffers.allocate(self.single_observation_space, self.num_agents)
        self._env_ids = np.arange(self.num_agents)
        self.lost = np.zeros(self.num_agents, np.bool_)
        self._infos = Infos()
        self._block.bind(self._buffers)

    @property
    def final_observations(self) -> NDArray[Any]:
        """See `VectorEnv`."""
        return self._buffers.final_observations

    def reset(self, seed: int | None = 42) -> tuple[NDArray[Any], Infos]:
        """Reset all; environment i gets `seed + i`. Return (observations, infos)."""
        self.async_reset(seed)
        batch = self.recv()
        return batch.observations, batch.infos

    def step(self, actions: Any) -> StepResult:
        """Step all; return (observations, rewards, terminals, truncations, infos)."""
        self.send(actions)
        return self.recv()[:5]

    def async_reset(self, seed: int | None = 42) -> None:
        """Reset all; `recv` gives the first observations."""
        seed = whole_seed(seed)
        self._turns.reset()
        self._infos = self._guarded("reset", self._block.reset, seed)

    def send(self, actions: Any) -> None:
        """Step all with `actions`, (num_agents, *single_action_space.shape)."""
        self._turns.check_send()
        actions = self._check_actions(actions)
        self._turns.sent()
        self._infos = self._guarded("step", self._block.step, actions)

    def recv(self) -> Batch:
        """Return the batch."""
        self._turns.check_recv()
        self._turns.received()
        rows = self._buffers
        return Batch(
            rows.observations,
            rows.rewards,
            rows.terminals,
            rows.truncations,
            self._infos,
            self._env_ids,
            rows.masks,
        )

    def call(self, name: str, *args: Any, **kwargs: Any) -> list[Any]:
        """Call a method of every environment; return the results."""
        self._turns.check_idle("call")
        results: list[Any] = self._guarded(name, self._block.call, name, args, kwargs)
        return results

    def get_attr(self, name: str) -> list[Any]:
        """Return an attribute of every environment."""
        self._turns.check_idle("get_attr")
        results: list[Any] = self._guarded("get_attr", self._block.get_attr, name)
        return results

    def set_attr(self, name: str, values: Any) -> None:
        """Set an attribute of every environment: a list has a value for each, else one for all."""
        self._turns.check_idle("set_attr")
        self._guarded(
            "set_attr", self._block.set_attr, name, one_value_each(name, values, self.num_envs)
        )

    def render(self) -> list[Any]:
        """Return what each environment's `render` returns."""
        return self.call("render")

    def close(self) -> None:
        """Close every environment. May be called again."""
        self._turns.closed()
        self._block.close()

    def _guarded(self, name: str, method: Any, *args: Any) -> Any:
        """Call a method of the block; turn what an environment raises into a WorkerError."""
        try:
            return method(*args)
        except Exception as error:
            failure = Failure.of(error, self._block, name, worker=None)
            self._turns.closed()
            with contextlib.suppress(Exception):  # the first failure is the one to tell
                self._block.close()
            raise failure.to_error(cause=error) from error
