"""The observations of all agents, for critics that see those of a whole game."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pufferlib.agent_policies import PolicyRows
from pufferlib.annotations import Array
from pufferlib.central_critic import CentralCritic
from pufferlib.training.rollout import Rollout
from pufferlib.vector import Batch, VectorEnv


class JointObservations:
    """The observations of all rows of a vectorizer in every segment of the storage.

    Args:
        vecenv: the vectorizer.
        horizon: steps of a segment.
        segments: in the storage.
        device: where rollouts are kept.
    """

    def __init__(
        self, vecenv: VectorEnv, horizon: int, segments: int, device: torch.device
    ) -> None:
        self._rows = vecenv.agents_per_batch
        space = vecenv.single_observation_space
        dtype = torch.from_numpy(np.zeros(0, space.dtype)).dtype
        shape = (horizon, segments * self._rows, *space.shape)
        self._storage = torch.zeros(shape, dtype=dtype, device=device)

    def write(self, observations: Tensor, segment: int, step: int) -> None:
        """Store what all rows of a batch observe, (B, ...)."""
        columns = slice(segment * self._rows, (segment + 1) * self._rows)
        self._storage[step, columns] = observations.to(self._storage.device)

    def attach(self, rollout: Rollout, peers: Tensor) -> None:
        """Let a rollout, whose segments follow each other, show them to a critic.

        Args:
            rollout: of some of the rows.
            peers: int64 (N, agents), of each of its rows in a batch, see `peers_of`.
        """
        segments = torch.arange(self._storage.shape[1] // self._rows) * self._rows
        peers = (segments[:, None, None] + peers.cpu()).flatten(0, 1)
        rollout.joint, rollout.peers = self._storage, peers.to(self._storage.device)


def peers_of(part: PolicyRows, rows: int) -> Tensor | None:
    """Return which rows of a batch the critic of a policy sees: int64 (N, agents).

    Each row's own comes first, then those of the agents that follow it in its game, around to the
    one before it. None if the policy has no central critic.

    Args:
        part: the policy, and which rows it acts for.
        rows: of a batch.
    """
    if not isinstance(part.policy, CentralCritic):
        return None
    agents = part.policy.num_agents
    own = torch.arange(rows)[part.among(rows)][:, None]  # (N, 1)
    return own // agents * agents + (own + torch.arange(agents)) % agents


def last_observations(batch: Batch, was_acting: NDArray[np.bool_]) -> Array:
    """Return what all rows observed at the end of a step, before any new episode: (B, ...).

    Agents whose episode ended have their last observation, others that acted the present one, and
    those that were absent zeros.
    """
    rows: Array = batch.observations.copy()
    rows[~was_acting] = 0
    ends = batch.terminals | batch.truncations
    rows[ends] = batch.final_observations[ends]
    return rows
