"""The gradient step that algorithms share, its learning rate and its metrics."""

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from pufferlib.training.distributed import DistributedContext
from pufferlib.training.finite import check_finite


def gradient_step(
    losses: Mapping[str, Tensor],
    policy: nn.Module,
    optimizer: torch.optim.Optimizer,
    context: DistributedContext,
    max_gradient_norm: float,
) -> dict[str, float]:
    """Minimize `losses["total"]` by one step; return the losses as numbers.

    "gradient_norm" is that of the whole gradient, before it is clipped.

    Args:
        losses: scalars by name, each a sum over this process's samples divided by the number of
            samples of all processes, so that their sum over the processes is the mean.
        policy: whose weights are changed.
        optimizer: of these weights.
        context: the processes that learn together; all take the same step.
        max_gradient_norm: a longer gradient is scaled down to this norm.

    Raises:
        NotFiniteError: a loss or the gradient is NaN or infinite; no weight has changed.
    """
    sums = context.all_reduce_sum(torch.stack([loss.detach() for loss in losses.values()]))
    numbers = dict(zip(losses, sums.tolist(), strict=True))
    for name, value in numbers.items():
        check_finite(f"{name} loss", value)
    optimizer.zero_grad()
    losses["total"].backward()
    context.all_reduce_gradients(policy)
    norm = nn.utils.clip_grad_norm_(policy.parameters(), max_gradient_norm)
    numbers["gradient_norm"] = norm.item()
    check_finite("gradient's norm", numbers["gradient_norm"])
    optimizer.step()
    return numbers


def set_learning_rate(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    """Set the learning rate of every parameter group."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate


def adapted_learning_rate(
    learning_rate: float, kl: float, target_kl: float, bounds: tuple[float, float]
) -> float:
    """Return the learning rate of the next update, for a KL divergence near `target_kl`.

    Rudin et al. 2022 (arXiv:2109.11978), as in rsl_rl: divided by 1.5 if the divergence was more
    than twice the target, multiplied by 1.5 if it was less than half.

    Args:
        learning_rate: of the last update.
        kl: divergence of the old policy from the new in that update.
        target_kl: the divergence to hold.
        bounds: lowest and highest learning rate.
    """
    low, high = bounds
    if kl > 2 * target_kl:
        return max(low, learning_rate / 1.5)
    if kl < target_kl / 2:
        return min(high, learning_rate * 1.5)
    return learning_rate


def value_metrics(
    values: Tensor,
    targets: Tensor,
    valid: Tensor,
    all_reduce_sum: Callable[[Tensor], Tensor] = lambda tensor: tensor,
) -> dict[str, float]:
    """Return metrics of a value function: its explained variance, and the scale of its targets.

    The explained variance is 1 - var(targets - values) / var(targets), as in CleanRL and
    Stable-Baselines3: 1 is exact, 0 no better than a constant; here 0 if all targets are equal.

    Args:
        values: float32, any shape, predicted.
        targets: float32, the returns that they should be.
        valid: bool, an agent was present; other samples are ignored.
        all_reduce_sum: sums a tensor over all processes that learn together.
    """
    samples = torch.stack([targets[valid], values[valid], (targets - values)[valid]])  # (3, N)
    sums = torch.cat([samples.sum(1), valid.sum(dtype=samples.dtype)[None]])
    *totals, count = all_reduce_sum(sums)
    if count == 0:
        return {}
    means = torch.stack(totals) / count
    variances = all_reduce_sum((samples - means[:, None]).square().sum(1)) / count
    target, value, _, of_targets, of_values, of_errors = torch.cat([means, variances]).tolist()
    return {
        "loss/explained_variance": 1 - of_errors / of_targets if of_targets > 0 else 0.0,
        "rollout/return_mean": target,
        "rollout/return_std": math.sqrt(of_targets),
        "rollout/value_mean": value,
        "rollout/value_std": math.sqrt(of_values),
    }


def update_metrics(
    optimizer: torch.optim.Optimizer, losses: Sequence[Mapping[str, float]]
) -> dict[str, float]:
    """Return the learning rate, and the mean of each loss over the gradient steps of an update."""
    means = {f"loss/{name}": sum(step[name] for step in losses) / len(losses) for name in losses[0]}
    return {"learning_rate": optimizer.param_groups[0]["lr"], **means}
