"""Generalized advantage estimates, and their normalization: pure functions."""

from collections.abc import Callable

import torch
from torch import Tensor

from pufferlib.exceptions import ArgumentError
from pufferlib.training.reverse_scan import reverse_scan


def advantages(
    rewards: Tensor,
    values: Tensor,
    terminals: Tensor,
    truncations: Tensor,
    final_values: Tensor,
    gamma: float,
    gae_lambda: float,
) -> Tensor:
    """Return generalized advantage estimates (Schulman et al. 2016, arXiv:1506.02438, eq. 16).

    The sum stops at the end of an episode. A truncated episode bootstraps from the value of its
    last observation, not from the next episode's first.

    Args:
        rewards: float32 (T, B), received after the action at t.
        values: float32 (T + 1, B); row T is the bootstrap.
        terminals: bool (T, B), the episode ended after step t: nothing to bootstrap from.
        truncations: bool (T, B), cut off after step t: bootstraps from `final_values`.
        final_values: float32 (T, B), the value of the true last observation; read only where
            truncated and not terminal.
        gamma: discount per step, in [0, 1].
        gae_lambda: in [0, 1]; 0 is TD(0), 1 is Monte Carlo.

    Returns:
        float32 (T, B), a new tensor.

    Raises:
        ArgumentError: if the shapes disagree.
    """
    steps, rows = rewards.shape
    shapes = {tuple(t.shape) for t in (rewards, terminals, truncations, final_values)}
    if shapes != {(steps, rows)} or tuple(values.shape) != (steps + 1, rows):
        raise ArgumentError(
            f"Shapes disagree: values must be {(steps + 1, rows)} and the rest {(steps, rows)}; "
            f"got values {tuple(values.shape)}, the rest {sorted(shapes)}."
        )
    ends = terminals | truncations
    bootstrap = torch.where(truncations, final_values, values[1:])
    bootstrap = bootstrap.masked_fill(terminals, 0)
    deltas = rewards + gamma * bootstrap - values[:-1]  # (T, B), eq. 9
    decay = gamma * gae_lambda * (~ends).to(rewards.dtype)
    return reverse_scan(deltas, decay)


def standardized(advantages: Tensor) -> Tensor:
    """Return advantages (N,) with mean 0 and standard deviation 1; one alone as it is."""
    if len(advantages) < 2:
        return advantages
    apart = advantages - advantages.mean()
    variance = apart.square().sum() / (len(advantages) - 1)
    return apart / (variance.sqrt() + 1e-8)


def normalized(
    advantages: Tensor,
    valid: Tensor,
    all_reduce_sum: Callable[[Tensor], Tensor] = lambda tensor: tensor,
) -> Tensor:
    """Return advantages (N,) with mean 0 and standard deviation 1 over the valid samples.

    Args:
        advantages: float32 (N,).
        valid: bool (N,).
        all_reduce_sum: sums a tensor over all processes that learn together.
    """
    kept = torch.where(valid, advantages, 0)
    count, summed = all_reduce_sum(torch.stack([valid.sum().to(kept.dtype), kept.sum()]))
    apart = advantages - summed / count
    squared = all_reduce_sum(torch.where(valid, apart, 0).square().sum())
    result = apart / ((squared / (count - 1).clamp(min=1)).sqrt() + 1e-8)
    return torch.where(count < 2, advantages, result)
