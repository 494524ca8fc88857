"""Any torch distribution as the head of a policy, and a Gaussian squashed by tanh."""

import math
import weakref
from collections.abc import Sequence
from typing import Any, NoReturn, TypeGuard

import torch
from torch import Tensor
from torch.distributions import (
    Bernoulli,
    Categorical,
    Distribution,
    Independent,
    Normal,
    TanhTransform,
    TransformedDistribution,
    constraints,
)
from torch.distributions.transforms import ComposeTransform, IndependentTransform, Transform

from pufferlib.exceptions import ContractError

Head = Tensor | Distribution
Heads = Head | Sequence[Head]
Bound = float | Tensor

ALLOWED = (
    "A head is logits (B, n), a torch.distributions.Distribution over (B, ...), or a list of these"
)


class TanhNormal(TransformedDistribution):
    """tanh of a Normal, within [-1, 1] (Haarnoja et al. 2018, arXiv:1801.01290, appendix C).

    Its log-probability is that of the Normal less log(1 - tanh(u)^2), eq. 21, in the form that does
    not overflow. It has no closed entropy.

    Args:
        loc: (B, n), mean of the Normal.
        scale: (B, n), its standard deviation.
    """

    def __init__(self, loc: Tensor, scale: Tensor) -> None:
        self.normal = Normal(loc, scale, validate_args=False)
        super().__init__(self.normal, [TanhTransform()], validate_args=False)

    @property
    def mode(self) -> Tensor:
        """The median, tanh of the Normal's mean, (B, n), which SAC evaluates with.

        The density itself can have two modes, near -1 and 1.
        """
        return torch.tanh(self.normal.loc)

    def expand(self, batch_shape: Any, _instance: None = None) -> "TanhNormal":
        """Return it with expanded parameters."""
        return TanhNormal(
            self.normal.loc.expand(batch_shape), self.normal.scale.expand(batch_shape)
        )


def sample_distribution(
    head: Distribution, actions: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Sample actions from a distribution, or evaluate given ones.

    Args:
        head: its first batch dimension counts the rows; all other dimensions are columns.
        actions: evaluate these instead of sampling; with the shape of the result.

    Returns:
        actions: (B,) for a discrete distribution over (B,), else (B, columns); int64 if discrete.
        log_probabilities: (B,), summed over the columns. Actions at the border of a bounded
            support, where a density can be 0 or infinite, are evaluated next to it, as in
            Stable-Baselines3.
        entropies: (B,), summed over the columns. Without a closed form (`TransformedDistribution`),
            minus the log-probability of a fresh reparametrized sample: unbiased, and so is its
            gradient, unlike that of the given actions, whose expectation is 0.

    Raises:
        ContractError: the distribution cannot be a head; says why.
    """
    check_head(head)
    shape = head.batch_shape + head.event_shape
    is_discrete = support_of(head).is_discrete
    sample = head.sample() if actions is None else actions.reshape(shape)
    if is_discrete and not isinstance(head, Categorical):
        sample = sample.to(torch.get_default_dtype())  # Bernoulli's log_prob refuses integers
    log_probabilities = head.log_prob(_inside(head, sample)).reshape(shape[0], -1).sum(1)
    if actions is None:
        actions = sample.long() if is_discrete else sample
        actions = actions if is_discrete and len(shape) == 1 else actions.reshape(shape[0], -1)
    return actions, log_probabilities, _entropies(head)


def _entropies(head: Distribution) -> Tensor:
    try:
        found = head.entropy()
    except NotImplementedError:
        if not head.has_rsample:
            raise ContractError(
                f"A head needs entropy(), or rsample() to estimate it; {type(head).__name__} has "
                f"neither. Define entropy() in a subclass."
            ) from None
        found = -head.log_prob(_inside(head, head.rsample()))
    return found.reshape(head.batch_shape[0], -1).sum(1)


def _inside(head: Distribution, sample: Tensor) -> Tensor:
    """Return samples moved off the border of a bounded support by a relative epsilon."""
    if support_of(head).is_discrete:
        return sample
    low, high = (torch.as_tensor(bound).to(sample) for bound in bounds_of(head))
    if not (low.isfinite().all() and high.isfinite().all()):
        return sample
    widest = torch.maximum(torch.maximum(low.abs(), high.abs()), high - low)
    margin = torch.finfo(sample.dtype).eps / 2 * widest
    return sample.clamp(low + margin, high - margin)


def check_head(head: object) -> None:
    """Refuse what `sample_distribution` cannot sample as one row of columns for each agent.

    Raises:
        ContractError: says why, and what is allowed.
    """
    name = type(head).__name__
    if not isinstance(head, Distribution):
        raise ContractError(f"{ALLOWED}; got {_article(name)}.")
    if not head.batch_shape:
        raise ContractError(
            f"The first batch dimension of a head counts the rows; got {_article(name)} with the "
            f"batch shape (). Give it parameters (B, ...)."
        )
    inner = head
    while isinstance(inner, Independent):
        inner = inner.base_dist
    if support_of(head).is_discrete and inner.event_shape:
        raise ContractError(
            f"A discrete head chooses one number for each column; {type(inner).__name__} has "
            f"samples of shape {tuple(inner.event_shape)}. Use Categorical, or logits."
        )


def support_of(head: Distribution) -> constraints.Constraint:
    """Return the support of a distribution.

    Raises:
        ContractError: it has none.
    """
    try:
        support = head.support
    except NotImplementedError:
        support = None
    if not isinstance(support, constraints.Constraint):
        name = type(head).__name__
        raise ContractError(f"A head needs a support; {name} has none. Define it in a subclass.")
    return support


def bounds_of(head: Distribution) -> tuple[Bound, Bound]:
    """Return the bounds of each element of a sample; infinite where there is none.

    They are numbers, or tensors that broadcast to the samples.

    Raises:
        ContractError: the support is none whose bounds are known; names it.
    """
    if isinstance(head, Independent):
        return bounds_of(head.base_dist)
    if _is_plainly_transformed(head):
        bounds = bounds_of(head.base_dist)
        for transform in head.transforms:
            bounds = _bounds_after(transform, bounds, head)
        return bounds
    return _bounds_within(support_of(head), head)


def _is_plainly_transformed(head: Distribution) -> TypeGuard[TransformedDistribution]:
    """Return whether `head` is no subclass with its own support and mode, such as LogNormal."""
    return isinstance(head, TransformedDistribution) and (
        type(head).support is TransformedDistribution.support
    )


def _bounds_after(
    transform: Transform, bounds: tuple[Bound, Bound], head: Distribution
) -> tuple[Bound, Bound]:
    """Return the bounds of elements within `bounds` after a transform.

    The codomain alone is too wide: an AffineTransform's is all numbers, also after a tanh.
    """
    if isinstance(transform, ComposeTransform):
        for part in transform.parts:
            bounds = _bounds_after(part, bounds, head)
        return bounds
    if isinstance(transform, IndependentTransform):
        return _bounds_after(transform.base_transform, bounds, head)
    if not transform.bijective or transform.domain.event_dim:
        return _bounds_within(transform.codomain, head)
    first, second = (transform(torch.as_tensor(bound)) for bound in bounds)
    first, second = torch.minimum(first, second), torch.maximum(first, second)
    is_number = first.ndim == second.ndim == 0
    return (first.item(), second.item()) if is_number else (first, second)


def _bounds_within(support: Any, head: Distribution) -> tuple[Bound, Bound]:
    while hasattr(support, "base_constraint"):
        support = support.base_constraint
    if support is constraints.real:
        return -math.inf, math.inf
    if support is constraints.simplex:
        return 0.0, 1.0
    if not (hasattr(support, "lower_bound") or hasattr(support, "upper_bound")):
        _refuse_support(head, support)
    return getattr(support, "lower_bound", -math.inf), getattr(support, "upper_bound", math.inf)


def _refuse_support(head: Distribution, support: object) -> NoReturn:
    raise ContractError(
        f"A continuous head's support must be all numbers, an interval, or a simplex; that of "
        f"{type(head).__name__} is {support}. Use another distribution."
    )


def base_of(head: Head) -> Any:
    """Return logits of a Categorical, and what is inside an `Independent`."""
    while isinstance(head, Independent):
        head = head.base_dist
    return head.logits if type(head) is Categorical else head


def mode_of(head: Distribution) -> Tensor:
    """Return the most likely sample; the mean where torch has no mode, or NaN.

    The mean of a discrete distribution is rounded. Of a `TransformedDistribution` with neither, the
    transform of the base distribution's: of tanh of a Normal the median, which SAC evaluates with.
    A distribution without a mode and a mean, such as RelaxedBernoulli, is sampled.
    """
    if isinstance(head, Independent):
        return mode_of(head.base_dist)
    if _is_plainly_transformed(head):
        mode = mode_of(head.base_dist)
        for transform in head.transforms:
            mode = transform(mode)
        return mode
    if isinstance(head, Bernoulli):
        return (head.probs > 0.5).to(head.probs)
    found = _moment(head, "mode")
    if found is None or found.isnan().any():
        other = _mean_of(head)
        found = other if found is None else torch.where(found.isnan(), other, found)
    return found


def _mean_of(head: Distribution) -> Tensor:
    """Return the mean or, without one, what stands for it; see `mode_of`."""
    mean = _moment(head, "mean")
    if mean is not None and not mean.isnan().any():
        return mean.round() if support_of(head).is_discrete else mean
    if not isinstance(head, TransformedDistribution):
        return head.sample()
    found = mode_of(head.base_dist)
    for transform in head.transforms:
        found = transform(found)
    return found


def _moment(head: Distribution, name: str) -> Tensor | None:
    """Return the mode or the mean of a distribution; None if it has none."""
    try:
        found: Tensor = getattr(head, name)
    except NotImplementedError:
        return None
    return found


def as_float32(head: Distribution) -> Distribution:
    """Return a copy of a distribution whose parameters are float32."""
    copied: Distribution = _as_float32(head, {})
    return copied


def _as_float32(value: Any, copies: dict[int, Any]) -> Any:
    """Return a copy of `value`; `copies` has those of parts that refer to each other, by id."""
    if isinstance(value, Tensor):
        return value.float() if value.is_floating_point() else value
    if type(value) in (list, tuple):
        return type(value)(_as_float32(part, copies) for part in value)
    if isinstance(value, weakref.ref):  # a transform's inverse, which it makes again
        return None
    if not isinstance(value, (Distribution, Transform)):
        return value
    if id(value) not in copies:
        copies[id(value)] = copied = object.__new__(type(value))
        for name, part in value.__dict__.items():
            copied.__dict__[name] = _as_float32(part, copies)
    return copies[id(value)]


def _article(name: str) -> str:
    return f"{'an' if name[0] in 'AEIOUaeiou' else 'a'} {name}"
