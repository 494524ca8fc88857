"""A centralized critic: the value sees what all agents of a game observe."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pufferlib.emulation.description import HasSpaces, describe
from pufferlib.exceptions import ArgumentError
from pufferlib.models import FlatFeatures
from pufferlib.normalization import NormalizedObservations
from pufferlib.policy import State, takes_start_steps
from pufferlib.pytorch import layer_init


class CentralCritic(nn.Module):
    """A policy whose actions see its own observation, and whose value sees those of all agents.

    The critic of MADDPG (Lowe et al. 2017, arXiv:1706.02275) and MAPPO (Yu et al. 2021,
    arXiv:2103.01955, 5.2): two hidden layers over the observations of all agents of a game, the
    agent's own first, then those of the agents that follow it in the order of rows, around to the
    one before it. Those of absent agents are zero. It is used only while the policy learns: without
    `joint_observations` the value is NaN.

    Args:
        env: the environment, or vectorizer.
        policy: chooses actions; a `Policy` or a `RecurrentPolicy`. Its own values are not used.
        num_agents: of a game.
        hidden_size: width of the critic's hidden layers; they have no memory.
        is_normalized: normalize the observations that the critic sees.

    Attributes:
        policy: as given.
        num_agents: as given.

    Raises:
        ArgumentError: there are fewer than two agents.
    """

    policy: Any

    def __init__(
        self,
        env: HasSpaces,
        policy: nn.Module,
        num_agents: int,
        hidden_size: int = 128,
        is_normalized: bool = False,
    ) -> None:
        super().__init__()
        if num_agents < 2:
            raise ArgumentError(
                f"A central critic sees the observations of several agents; got "
                f"num_agents={num_agents}. Leave it out."
            )
        self.policy, self.num_agents = policy, num_agents
        self._takes_start_steps = takes_start_steps(policy)
        self.features = FlatFeatures(env)
        self._row_shape = describe(env).single_observation_space.shape
        self.normalizer = NormalizedObservations(env, nn.Identity()) if is_normalized else None
        self.critic = nn.Sequential(
            layer_init(nn.Linear(num_agents * self.features.size, hidden_size)),
            nn.Tanh(),
            layer_init(nn.Linear(hidden_size, hidden_size)),
            nn.Tanh(),
            layer_init(nn.Linear(hidden_size, 1), std=1.0),
        )

    @property
    def initial_state(self) -> Callable[..., State]:
        """That of the policy. One without memory has none, and then neither has this one."""
        found: Callable[..., State] = self.policy.initial_state
        return found

    @property
    def state_batch_dim(self) -> int:
        """That of the policy."""
        return int(self.policy.state_batch_dim)

    def forward(
        self,
        observations: Tensor,
        *memory: Any,
        joint_observations: Tensor | None = None,
        start_steps: Sequence[int] | None = None,
    ) -> tuple[Any, ...]:
        """Return (actions, value), and the state of a policy with memory; see `Policy`.

        Args:
            observations: (B, ...), or with memory (B, T, ...) too.
            *memory: state and starts, of a policy with memory; see `RecurrentPolicy`.
            joint_observations: (B, num_agents, ...) or (B, T, num_agents, ...).
            start_steps: see `RecurrentPolicy`.
        """
        more = {"start_steps": start_steps} if self._takes_start_steps else {}
        heads, value, *state = self.policy(observations, *memory, **more)
        if joint_observations is None:
            value = torch.full_like(value, torch.nan)
        else:
            value = self._values(joint_observations)
        return heads, value, *state

    def observe(
        self,
        observations: Tensor,
        valid: Tensor,
        all_reduce_sum: Callable[[Tensor], Tensor] = lambda tensor: tensor,
    ) -> None:
        """Pass a rollout, (T, B, ...), to the policy if it keeps statistics."""
        if hasattr(self.policy, "observe"):
            self.policy.observe(observations, valid, all_reduce_sum)

    def observe_all(
        self,
        observations: Tensor,
        all_reduce_sum: Callable[[Tensor], Tensor] = lambda tensor: tensor,
    ) -> None:
        """Update the statistics of what the critic sees, with the rows of all agents, (T, B, ...).

        Rows of zeros are those of absent agents, and ignored.
        """
        if self.normalizer is not None:
            present = observations.flatten(2).ne(0).any(2)
            self.normalizer.observe(observations, present, all_reduce_sum)

    def _values(self, joint: Tensor) -> Tensor:
        """Return values (N, 1) for (N, num_agents, ...), or (B, T, num_agents, ...) of N = B T."""
        rows = joint.reshape(-1, *self._row_shape)  # (N * num_agents, ...)
        present = rows.flatten(1).ne(0).any(1, keepdim=True)
        if self.normalizer is not None:
            rows = self.normalizer.normalize(rows)
        features = self.features(rows) * present  # absent agents: zero
        values: Tensor = self.critic(features.reshape(-1, self.critic[0].in_features))
        return values
