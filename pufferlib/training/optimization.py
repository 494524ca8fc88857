"""The gradient steps that algorithms share, their learning rate and their metrics."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pufferlib.annotations import StateDict
from pufferlib.exceptions import ArgumentError
from pufferlib.training.distributed import DistributedContext
from pufferlib.training.finite import check_finite


class Limit(NamedTuple):
    """A loss that ends an update once a gradient step finds it above `most`."""

    name: str
    most: float


class GradientSteps:
    """The gradient steps of an update.

    A number that is read waits for a GPU, so losses are read at the end of the update, all at once.
    Until then the optimizer itself skips the steps that must not be taken: one whose losses or
    gradient are not finite, those that follow it, and those that follow one above `limit`.

    Args:
        policy: whose weights are changed.
        optimizer: of these weights. One that is not fused cannot skip steps: with it, every step
            waits for its losses.
        context: the processes that learn together; all take the same steps.
        max_gradient_norm: a longer gradient is scaled down to this norm.
        limit: ends the update early; None: nothing does.
        epoch: how many steps an epoch has; only after its last a GPU is asked whether to go on.

    Raises:
        ArgumentError: no weight is trainable.
    """

    def __init__(
        self,
        policy: nn.Module,
        optimizer: torch.optim.Optimizer,
        context: DistributedContext,
        max_gradient_norm: float,
        limit: Limit | None = None,
        epoch: int = 1,
    ) -> None:
        self._policy, self._optimizer, self._context = policy, optimizer, context
        self._max_gradient_norm, self._limit = max_gradient_norm, limit
        self._weights = [weight for weight in policy.parameters() if weight.requires_grad]
        if not self._weights:
            raise ArgumentError(
                f"The policy {type(policy).__name__} has no weight that requires a gradient, so it "
                f"cannot learn. Call requires_grad_() on those that shall be trained."
            )
        self._are_of_one_kind = len({(each.dtype, each.device) for each in self._weights}) == 1
        self._epoch = epoch
        self._is_fused = all(group.get("fused") for group in optimizer.param_groups)
        self._names: list[str] = []
        self._numbers: list[Tensor] = []  # of each step, in the order of the names
        self._above: list[Tensor] = []  # bool, of each step, whether it is above the limit
        device = self._weights[0].device
        self._skips = torch.zeros((), device=device)  # 1 if the next step is to be skipped
        self._shared = self._skips.numpy() if device.type == "cpu" else None  # the same memory
        self._one = torch.ones((), device=device)

    def take(self, losses: Mapping[str, Tensor]) -> None:
        """Minimize `losses["total"]` by one step.

        Args:
            losses: scalars by name, each a sum over this process's samples divided by the number
                of samples of all processes, so that their sum over the processes is the mean.

        Raises:
            NotFiniteError: with an optimizer that is not fused, see `read`.
        """
        self._set_gradients(losses["total"])
        self._context.all_reduce_gradients(self._policy)
        norm = self._clip_gradients()
        self._names = [*losses, "gradient_norm"]
        with torch.no_grad():
            self._note(torch.stack([*losses.values(), norm]))
            if not self._is_fused:
                self.read()
                if self._skips:
                    return
            else:
                self._optimizer.found_inf = self._skips  # type: ignore[attr-defined]
            self._optimizer.step()
            if self._above:
                torch.maximum(self._skips, self._above[-1], out=self._skips)

    def _set_gradients(self, loss: Tensor) -> None:
        """Set the gradient of every weight, as `backward`, which takes an operation more for each.

        Each has separate memory, in the order of its weight: they are scaled in place, and a
        fused optimizer pairs elements by their place in memory.
        """
        if any(weight._post_accumulate_grad_hooks for weight in self._weights):
            self._optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            return
        # Given one, autograd makes none for each step.
        one = self._one if loss.dtype == self._one.dtype else None
        found = torch.autograd.grad(loss, self._weights, one, allow_unused=True)
        # Two weights that are added have one gradient; that of a loss that is a weight is `_one`.
        seen = {self._one.untyped_storage().data_ptr()}
        for weight, gradient in zip(self._weights, found, strict=True):
            if gradient is not None:
                memory = gradient.untyped_storage().data_ptr()
                if memory in seen or gradient.stride() != weight.stride():
                    gradient = torch.empty_like(weight).copy_(gradient)
                seen.add(memory)
            weight.grad = gradient

    @torch.no_grad()
    def _clip_gradients(self) -> Tensor:
        """Clip the norm of the gradient; return what it was.

        As `clip_grad_norm_`, in half the time for a small network: that groups the gradients by
        device and dtype.
        """
        gradients = [weight.grad for weight in self._weights if weight.grad is not None]
        if not (self._are_of_one_kind and gradients):
            return nn.utils.clip_grad_norm_(self._weights, self._max_gradient_norm)
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        factor = (self._max_gradient_norm / (norm + 1e-6)).clamp(max=1)
        torch._foreach_mul_(gradients, factor)
        return norm

    def _note(self, numbers: Tensor) -> None:
        """Keep the numbers of a step; skip it if one of them is not finite."""
        if self._context.world_size > 1:
            numbers = torch.cat([self._context.all_reduce_sum(numbers[:-1]), numbers[-1:]])
        self._numbers.append(numbers)
        if self._limit is not None:
            self._above.append(numbers[self._names.index(self._limit.name)] > self._limit.most)
        # As torch.amp.GradScaler: sets `_skips` to 1 if a number is not finite, else leaves it.
        torch._amp_foreach_non_finite_check_and_unscale_([numbers], self._skips, self._one)

    @property
    def has_ended(self) -> bool:
        """Whether further steps would be skipped.

        To ask a GPU waits for it, so it answers at the end of each epoch only.
        """
        if self._shared is not None:
            return bool(self._shared)
        return len(self._numbers) % self._epoch == 0 and bool(self._skips)

    def read(self) -> list[dict[str, float]]:
        """Return the losses of each step that was taken, with "gradient_norm".

        That is the norm of the whole gradient, before it is clipped.

        Raises:
            NotFiniteError: a loss or the gradient of a step is NaN or infinite; the weights are
                those before that step. Running statistics are not: that step's minibatch was seen,
                and on a GPU those that followed it in its epoch.
        """
        taken: list[dict[str, float]] = []
        above = torch.stack(self._above).tolist() if self._above else [False] * len(self._numbers)
        for numbers, is_last in zip(torch.stack(self._numbers).tolist(), above, strict=True):
            step = dict(zip(self._names, numbers, strict=True))
            for name, value in step.items():
                is_norm = name == "gradient_norm"
                check_finite("gradient's norm" if is_norm else f"{name} loss", value)
            taken.append(step)
            if is_last:
                break
        return taken


def make_adam(policy: nn.Module, learning_rate: float) -> torch.optim.Adam:
    """Return Adam for all weights, with CleanRL's epsilon.

    A step is one fused operation, but for complex weights or on a device that is not known to have
    all that `GradientSteps` needs.
    """
    weights = list(policy.parameters())
    is_fused = all(w.is_floating_point() and w.device.type in ("cpu", "cuda") for w in weights)
    return torch.optim.Adam(weights, learning_rate, eps=1e-5, fused=is_fused)


def load_adam(optimizer: torch.optim.Adam, state: StateDict) -> None:
    """Continue from a state of Adam; earlier versions saved that of one that was not fused."""
    is_fused = optimizer.param_groups[0]["fused"]
    groups = [{**group, "fused": is_fused, "foreach": None} for group in state["param_groups"]]
    optimizer.load_state_dict({**state, "param_groups": groups})


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
    sums = all_reduce_sum(torch.cat([samples.sum(1), valid.sum(dtype=samples.dtype)[None]]))
    means = sums[:3] / sums[3]
    variances = all_reduce_sum((samples - means[:, None]).square().sum(1)) / sums[3]
    *found, count = torch.cat([means, variances, sums[3:]]).tolist()
    if count == 0:
        return {}
    target, value, _, of_targets, of_values, of_errors = found
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
