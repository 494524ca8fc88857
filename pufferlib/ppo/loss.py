"""The PPO loss of one minibatch."""

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
    """
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
    value = 0.5 * mean(errors**2)
    entropy = mean(torch.where(valid, entropies, 0))
    total = policy + value_coefficient * value - entropy_coefficient * entropy
    with torch.no_grad():
        approximate_kl = mean((ratio - 1) - log_ratio)
        clip_fraction = mean(((ratio - 1).abs() > clip_coefficient).to(values.dtype))
    return Loss(total, policy, value, entropy, approximate_kl, clip_fraction)


def normalized(advantages: Tensor, valid: Tensor) -> Tensor:
    """Return advantages (N,) shifted and scaled to mean 0, deviation 1 over the valid samples."""
    kept = advantages[valid]
    if kept.numel() < 2:
        return advantages
    return (advantages - kept.mean()) / (kept.std() + 1e-8)
