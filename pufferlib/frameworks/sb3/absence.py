"""Rollout buffers that leave absent agents out of learning.

A row of a vectorizer is an agent, present or not. Stable-Baselines3 knows no absent agents: it
would learn from actions that no agent took on observations of zeros. These buffers store every row,
and give the algorithm only those in which an agent acted.
"""

from collections.abc import Iterator
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from sb3_contrib.common.maskable.buffers import MaskableRolloutBuffer
from sb3_contrib.common.recurrent.buffers import RecurrentRolloutBuffer
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from torch import Tensor

from pufferlib.annotations import Array
from pufferlib.exceptions import ArgumentError, CallOrderError, ContractError

Algorithm = TypeVar("Algorithm", bound=OnPolicyAlgorithm)


class Presence:
    """Which rows of a `PufferVecEnv` have an agent; links it to a rollout buffer and a policy.

    Attributes:
        present: bool (rows,), an agent is there to act on the last observation.
        acted: bool (rows,), an agent was present and chose the action, and its result was not lost.
        steps: how many steps the environment has taken.
    """

    def __init__(self, rows: int) -> None:
        self.present: NDArray[np.bool_] = np.zeros(rows, np.bool_)
        self.acted: NDArray[np.bool_] = np.zeros(rows, np.bool_)
        self.steps = 0

    def update(self, acted: NDArray[np.bool_]) -> None:
        """Set what a step has shown."""
        self.acted = acted
        self.steps += 1


class _Present(RolloutBuffer):
    """A rollout buffer whose `get` leaves out transitions without an agent.

    Args:
        presence: that of the environment: `env.presence`.
    """

    def __init__(self, *args: Any, presence: Presence, **kwargs: Any) -> None:
        self._presence, self._steps = presence, presence.steps
        super().__init__(*args, **kwargs)

    def reset(self) -> None:
        """Forget the rollout."""
        self.acted: NDArray[np.bool_] = np.zeros((self.buffer_size, self.n_envs), np.bool_)
        self._steps = self._presence.steps
        super().reset()

    def add(self, *args: Any, **kwargs: Any) -> None:
        """Add a step of all rows, and which of them acted.

        Raises:
            CallOrderError: the environment of `presence` has not taken this step.
        """
        if self._presence.steps != self._steps + 1 or len(self._presence.acted) != self.n_envs:
            raise CallOrderError(
                "The rollout buffer does not belong to the environment that is stepped. After "
                "set_env or load, call pufferlib.frameworks.sb3.leave_out_absent(model) again."
            )
        self._steps += 1
        self.acted[self.pos] = self._presence.acted
        super().add(*args, **kwargs)

    def compute_returns_and_advantage(self, last_values: Tensor, dones: Array) -> None:
        """Compute returns and advantages of the transitions with an agent.

        An agent's episode ends before it is absent, so nothing is bootstrapped across an absence;
        the others get an advantage of 0. So does a step that was lost with its worker, from which
        the steps before it bootstrap only their value.
        """
        absent = ~self.acted
        self.rewards[absent] = self.values[absent]
        super().compute_returns_and_advantage(last_values, dones)
        self.advantages[absent] = 0
        self.returns[absent] = self.values[absent]

    def get(self, batch_size: int | None = None) -> Iterator[Any]:
        """Yield minibatches of transitions with an agent, of at most `batch_size`, nearly equal."""
        if not self.generator_ready:
            next(iter(super().get(1)))  # flattens the arrays to (n_envs * buffer_size, ...)
        acted = np.flatnonzero(self.acted.swapaxes(0, 1))  # in that order
        if not len(acted):
            raise ContractError(
                f"No agent was present in any of the {self.buffer_size} steps of this rollout. "
                f"Raise n_steps, or end the episode when its last agent leaves."
            )
        count = 1 if batch_size is None else -(-len(acted) // batch_size)
        # Of nearly equal size: the advantages of a single transition cannot be normalized.
        for indices in np.array_split(self._ordered(acted), count):
            yield self._samples_at(indices)

    def _ordered(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return transitions in the order in which minibatches take them."""
        return np.random.permutation(indices)

    def _samples_at(self, indices: NDArray[np.int64]) -> Any:
        return self._get_samples(indices)


class PresentBuffer(_Present):
    """The rollout buffer of PPO and A2C without absent agents; see `leave_out_absent`."""


class MaskablePresentBuffer(_Present, MaskableRolloutBuffer):
    """That of MaskablePPO."""


class RecurrentPresentBuffer(_Present, RecurrentRolloutBuffer):
    """That of RecurrentPPO: sequences skip absent agents, and begin again after them."""

    def _ordered(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the transitions in their order, begun at a random one, as its base class does."""
        return np.roll(indices, np.random.randint(len(indices)))

    def _samples_at(self, indices: NDArray[np.int64]) -> Any:
        is_first = np.zeros((self.buffer_size, self.n_envs))
        is_first[0] = 1
        return self._get_samples(indices, self.swap_and_flatten(is_first))


def leave_out_absent(model: Algorithm) -> Algorithm:
    """Let an algorithm learn only from rows in which an agent is present; return it.

        model = leave_out_absent(PPO(Policy, PufferVecEnv(envs), policy_kwargs=...))

    Needed where agents die or join during an episode. It replaces the rollout buffer, so it comes
    before `learn`, and again after `load` and `set_env`. Running statistics of the network leave
    out absent agents, too; `VecNormalize` counts them. With PPO, A2C and MaskablePPO the buffer can
    also be had by arguments: `rollout_buffer_class=PresentBuffer` (`MaskablePresentBuffer`) and
    `rollout_buffer_kwargs={"presence": env.presence}`. Steps of absent agents still count in
    `total_timesteps`.

    Args:
        model: PPO, A2C, MaskablePPO or RecurrentPPO over a `PufferVecEnv`, wrapped or not.

    Raises:
        ArgumentError: it is another algorithm, or has another environment or rollout buffer.
    """
    if not isinstance(model, OnPolicyAlgorithm):
        raise ArgumentError(
            f"leave_out_absent takes PPO, A2C, MaskablePPO or RecurrentPPO; got "
            f"{type(model).__name__}, which has no rollout buffer."
        )
    env: Any = None if model.env is None else model.env.unwrapped
    if not isinstance(getattr(env, "presence", None), Presence):
        raise ArgumentError(
            f"leave_out_absent takes an algorithm over a PufferVecEnv; got one over "
            f"{type(env).__name__}. Pass PufferVecEnv(vecenv) as its env."
        )
    model.policy.presence = env.presence
    buffer = model.rollout_buffer
    kwargs = {"presence": env.presence}
    if isinstance(buffer, RecurrentRolloutBuffer):
        # RecurrentPPO saves no buffer class: its policy says that the buffer is missing.
        model.policy_kwargs = {**model.policy_kwargs, "leaves_out_absent": True}
        model.rollout_buffer = _remade(RecurrentPresentBuffer, buffer, kwargs)
        return model
    is_maskable = isinstance(buffer, MaskableRolloutBuffer)
    made_by = MaskablePresentBuffer if is_maskable else PresentBuffer
    if type(buffer) not in (RolloutBuffer, MaskableRolloutBuffer, made_by):
        raise ArgumentError(
            f"leave_out_absent replaces the rollout buffers of Stable-Baselines3; got "
            f"{type(buffer).__name__}. Leave rollout_buffer_class out."
        )
    model.rollout_buffer_class, model.rollout_buffer_kwargs = made_by, kwargs  # for save and load
    model.rollout_buffer = _remade(made_by, buffer, kwargs)
    return model


def _remade(made_by: type[_Present], buffer: Any, kwargs: dict[str, Presence]) -> _Present:
    """Return an empty buffer like `buffer`."""
    own = {"hidden_state_shape": buffer.hidden_state_shape} if _is_recurrent(buffer) else {}
    return made_by(
        buffer.buffer_size,
        buffer.observation_space,
        buffer.action_space,
        device=buffer.device,
        gae_lambda=buffer.gae_lambda,
        gamma=buffer.gamma,
        n_envs=buffer.n_envs,
        **own,
        **kwargs,
    )


def _is_recurrent(buffer: object) -> bool:
    return isinstance(buffer, RecurrentRolloutBuffer)
