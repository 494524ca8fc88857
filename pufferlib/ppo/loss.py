"""The PPO loss of one minibatch."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class Loss(NamedTuple):
    """What is minimised, its parts, and what is watched. Each a scalar tensor.

    Attributes:
        total: policy + value_coefficient * value - entropy_coefficient * entropy.
        policy: negative clipped surrogate objective.
        value: half the squared error of the values.
        entropy: mean of the policy's.
        approximate_kl: of the old policy from the new (Schulman 2020, joschu.net/blog/kl-approx).
        clip_fraction: share of samples whose ratio was clipped.
    """

    total: Tensor
    policy: Tensor
    value: Tensor
    entropy: Tensor
    approximate_kl: Tensor
    clip_fraction: Tensor


def ppo_loss(
    *,
    log_probabilities: Tensor,
    old_log_probabilities: Tensor,
    entropies: Tensor,
    values: Tensor,
    advantages: Tensor,
    returns: Tensor,
    valid: Tensor,
    clip_coefficient: float,
    value_coefficient: float,
    entropy_coefficient: float,
    old_values: Tensor | None = None,
    value_clip: float | None = None,
    count: Tensor | None = None,
) -> Loss:
    """Return the loss of Schulman et al. 2017 (arXiv:1707.06347), eq. 7 and 9.

    Args:
        log_probabilities: float32 (N,), of the actions taken under the present policy.
        old_log_probabilities: float32 (N,), when they were taken.
        entropies: float32 (N,), of the present policy.
        values: float32 (N,), of the present value function.
        advantages: float32 (N,).
        returns: float32 (N,), what the values should be.
        valid: bool (N,), an agent was there; other samples count for nothing.
        clip_coefficient: epsilon of eq. 7.
        value_coefficient: c1 of eq. 9.
        entropy_coefficient: c2 of eq. 9.
        old_values: float32 (N,), those the rollout was made with; for `value_clip`.
        value_clip: how far a value may move from the old one before the loss no longer falls; None
            leaves values free.
        count: what sums are divided by; the valid samples if None.
    """
    if count is None:
        count = valid.sum().clamp(min=1)

    def mean(samples: Tensor) -> Tensor:
        return samples.sum() / count

    # What is not valid is made zero before anything is computed from it: zeroing a result would
    # still let an infinity through to the gradient, as zero times infinity.
    log_ratio = torch.where(valid, log_probabilities - old_log_probabilities, 0)
    advantages = torch.where(valid, advantages, 0)
    errors = torch.where(valid, values - returns, 0)
    ratio = log_ratio.exp()
    clipped = ratio.clamp(1 - clip_coefficient, 1 + clip_coefficient)
    policy = -mean(torch.minimum(ratio * advantages, clipped * advantages))
    squared = errors**2
    if value_clip is not None and old_values is not None:
        near = old_values + (values - old_values).clamp(-value_clip, value_clip)
        squared = torch.maximum(squared, torch.where(valid, near - returns, 0) ** 2)
    value = 0.5 * mean(squared)
    entropy = mean(torch.where(valid, entropies, 0))
    total = policy + value_coefficient * value - entropy_coefficient * entropy
    with torch.no_grad():
        approximate_kl = mean((ratio - 1) - log_ratio)
        clip_fraction = mean(((ratio - 1).abs() > clip_coefficient).to(values.dtype))
    return Loss(total, policy, value, entropy, approximate_kl, clip_fraction)


def normalized(
    advantages: Tensor, valid: Tensor, total: Callable[[Tensor], Tensor] = lambda parts: parts
) -> Tensor:
    """Return advantages (N,) shifted and scaled to mean 0, deviation 1 over the valid samples.

    Args:
        advantages: float32 (N,).
        valid: bool (N,).
        total: sums a tensor over all processes that learn together.
    """
    kept = torch.where(valid, advantages, 0)
    count, summed = total(torch.stack([valid.sum().to(kept.dtype), kept.sum()]))
    if count < 2:
        return advantages
    mean = summed / count
    squared = total(torch.where(valid, advantages - mean, 0).square().sum())
    return (advantages - mean) / ((squared / (count - 1)).sqrt() + 1e-8)
