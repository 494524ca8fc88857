"""Normalize observations by their running mean and standard deviation."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pufferlib.emulation.description import HasSpaces, describe
from pufferlib.exceptions import ArgumentError
from pufferlib.pytorch import Heads


class NormalizedObservations(nn.Module):
    """Normalize observations to mean 0 and standard deviation 1, clipped, and pass them on.

    Running mean and variance cover all observations passed to `observe` (Chan et al. 1979), as in
    Gymnasium's NormalizeObservation; they are buffers, so checkpoints include them. The trainer
    calls `observe` after each update, so they do not change within a rollout.

    Args:
        env: an emulated or vectorized environment whose observations are floats.
        policy: a `Policy`. To make it recurrent, wrap the result in `LSTMWrapper` or `GRUWrapper`.
        clip: normalized observations are clipped to [-clip, clip].

    Raises:
        ArgumentError: if observations have another dtype.
    """

    mean: Tensor
    variance: Tensor
    count: Tensor

    def __init__(self, env: HasSpaces, policy: Any, clip: float = 10.0) -> None:
        super().__init__()
        space = describe(env).single_observation_space
        if not np.issubdtype(space.dtype, np.floating):
            raise ArgumentError(
                f"Only float observations can be normalized; got {space.dtype}. Leave out "
                f"normalize_observations, or scale them in the policy."
            )
        self.policy, self.clip = policy, clip
        self.hidden_size = getattr(policy, "hidden_size", None)
        self.register_buffer("mean", torch.zeros(space.shape))
        self.register_buffer("variance", torch.ones(space.shape))
        self.register_buffer("count", torch.tensor(1e-4, dtype=torch.float64))

    def forward(self, observations: Tensor) -> tuple[Heads, Tensor]:
        """Return (actions, value) for observations (B, ...)."""
        heads, value = self.policy(self.normalize(observations))
        return heads, value

    def encode_observations(self, observations: Tensor) -> tuple[Tensor, Any]:
        """Return the result of the policy's `encode_observations` for normalized observations."""
        return self.policy.encode_observations(self.normalize(observations))

    def decode_actions(self, hidden: Tensor, lookup: Any = None) -> tuple[Heads, Tensor]:
        """Return the result of the policy's `decode_actions`."""
        return self.policy.decode_actions(hidden, lookup)

    def normalize(self, observations: Tensor) -> Tensor:
        """Return observations (..., *shape) normalized, float32."""
        apart = (observations - self.mean) / (self.variance + 1e-8).sqrt()
        return apart.clamp(-self.clip, self.clip).float()

    @torch.no_grad()
    def observe(
        self,
        observations: Tensor,
        valid: Tensor,
        all_reduce_sum: Callable[[Tensor], Tensor] = lambda tensor: tensor,
    ) -> None:
        """Update mean and variance with the observations of a rollout.

        Args:
            observations: (T, B, *shape).
            valid: bool (T, B), True if an agent was present; other rows are ignored.
            all_reduce_sum: sums a tensor over all processes that learn together.
        """
        kept = observations[valid].to(self.mean.device, torch.float64)
        count = all_reduce_sum(self.count.new_tensor(len(kept)))
        if count == 0:
            return
        mean = all_reduce_sum(kept.sum(0)) / count
        squares = all_reduce_sum((kept - mean).square().sum(0))
        counted, apart = self.count + count, mean - self.mean
        squares += self.variance * self.count + apart**2 * self.count * count / counted
        self.variance.copy_(squares / counted)
        self.mean.add_(apart * count / counted)
        self.count.copy_(counted)
