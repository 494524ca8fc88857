"""Sample the actions of a policy's heads, for any action space, or evaluate given ones."""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.distributions import Distribution, Normal

from pufferlib.distributions import Head, Heads, check_head, mode_of, sample_distribution

_LOG_ROOT_2_PI = 0.5 * math.log(2 * math.pi)
_LOG_OF_ZERO = -1e3  # its exponential is 0, in float64 too


def sample_actions(heads: Heads, actions: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """Sample actions from a policy's heads, or evaluate given actions.

    Args:
        heads: logits (B, n) of one discrete action; a `torch.distributions.Distribution` whose
            first batch dimension is B, such as a Normal over (B, n) continuous actions; or a
            sequence of these, for action spaces of several parts, in the order of the columns.
        actions: evaluate these instead of sampling; with the shape of the result.

    Returns:
        actions: (B,) int64 for one discrete action, else (B, columns): int64 if all are discrete,
            else the dtype of the continuous ones.
        log_probabilities: (B,), summed over the columns.
        entropies: (B,), summed over the columns; estimated where a distribution has no closed form,
            see `pufferlib.distributions.sample_distribution`.

    Raises:
        ContractError: something else is given as a head, or a distribution that cannot be one.
    """
    heads = _without_list(heads)
    if isinstance(heads, Tensor):
        return _sample_discrete(heads, actions)
    if _is_normal(heads):
        return _sample_normal(heads, actions)
    if isinstance(heads, Distribution):
        return sample_distribution(heads, actions)
    if not isinstance(heads, Sequence) or isinstance(heads, str):
        check_head(heads)
    columns: list[Tensor] = []
    log_probabilities, entropies, start = [], [], 0
    for sample, part in itertools.groupby(heads, _sampler_of):
        run = list(part)
        width = sum(_width(head) for head in run)
        given = None if actions is None else actions[:, start : start + width]
        start += width
        column, log_probability, entropy = sample(run, given)
        columns.append(column)
        log_probabilities.append(log_probability)
        entropies.append(entropy)
    return torch.cat(columns, 1), _sum(log_probabilities), _sum(entropies)


class ActionSampler:
    """Samples as `sample_actions`, in fewer operations and without entropies; for one caller."""

    def __init__(self) -> None:
        self._noise = self._signs = torch.empty(0)

    def __call__(self, heads: Heads) -> tuple[Tensor, Tensor]:
        """Return actions and their log-probabilities (B,); see `sample_actions`."""
        if isinstance(heads, Tensor) and heads.ndim == 2 and not torch.compiler.is_compiling():
            return self._sample(heads)
        heads = _without_list(heads)
        if _is_normal(heads):
            # As `heads.sample()`, which checks that no standard deviation is negative.
            noise = torch.empty_like(heads.loc).normal_()
            actions = noise.mul_(heads.scale).add_(heads.loc)
            return actions, _log_probabilities(heads, actions, heads.scale.log())
        return sample_actions(heads)[:2]

    def _sample(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        if self._noise.shape != logits.shape or self._noise.device != logits.device:
            self._noise = torch.empty_like(logits)
            self._signs = -torch.ones_like(logits[0])
        log_probabilities = logits.log_softmax(-1)
        actions = (log_probabilities.exp() / self._noise.exponential_()).argmax(-1)
        # Weighted by -1: the log-probability, not its negative.
        loss = nn.functional.nll_loss
        return actions, loss(log_probabilities, actions, self._signs, reduction="none")


def greedy_actions(heads: Heads) -> Tensor:
    """Return the most probable actions of a policy's heads: the largest logits, the modes.

    A Normal behind a `tanh` or another transform gives the transform of its mean, as in
    Stable-Baselines3. A distribution without a mode gives its mean, and without a mean a sample.
    Arguments, result and errors as `sample_actions`.
    """
    if isinstance(heads, Tensor):
        return heads.argmax(-1)
    if isinstance(heads, Distribution):
        check_head(heads)
        return mode_of(heads)
    if not isinstance(heads, Sequence) or isinstance(heads, str):
        check_head(heads)
    columns = [greedy_actions(head) for head in heads]
    return torch.cat([column.reshape(len(column), -1) for column in columns], 1)


def _without_list(heads: Heads) -> Heads:
    """Return the Normal of a list of one, whose results are the same; all else as it is."""
    if isinstance(heads, list) and len(heads) == 1 and _is_normal(heads[0]):
        return heads[0]
    return heads


def _is_normal(head: object) -> TypeGuard[Normal]:
    """Return whether `head` is a Normal over (B, n); a subclass may define another density."""
    return type(head) is Normal and head.loc.ndim == 2


def _sampler_of(head: Head) -> Callable[[list[Any], Tensor | None], tuple[Tensor, Tensor, Tensor]]:
    """Return a function that samples neighboring heads of a kind."""
    if isinstance(head, Tensor):
        return _sample_discretes
    return _sample_normals if _is_normal(head) else _sample_distributions


def _width(head: Head) -> int:
    """Return the number of columns that a head chooses."""
    if isinstance(head, Tensor):
        return 1
    check_head(head)
    return math.prod((head.batch_shape + head.event_shape)[1:])


def _sum(tensors: list[Tensor] | tuple[Tensor, ...]) -> Tensor:
    return torch.stack(tensors).sum(0)


def _sample_discretes(heads: list[Tensor], actions: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Sample heads (B, n) of any widths; heads of equal width are sampled together."""
    groups: dict[int, list[int]] = {}
    for index, head in enumerate(heads):
        groups.setdefault(head.shape[-1], []).append(index)
    drawn, log_probabilities, entropies = [], [], []
    for indices in groups.values():
        logits = torch.stack([heads[index] for index in indices], 1)  # (B, heads, n)
        given = None if actions is None else actions[:, indices]
        chosen, log_probability, entropy = _sample_discrete(logits, given)
        drawn.append(chosen)
        log_probabilities.append(log_probability.sum(1))
        entropies.append(entropy.sum(1))
    order = [index for indices in groups.values() for index in indices]
    place = sorted(range(len(order)), key=order.__getitem__)
    return torch.cat(drawn, 1)[:, place], _sum(log_probabilities), _sum(entropies)


def _sample_discrete(logits: Tensor, actions: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Sample logits (..., n)."""
    if actions is None:
        # What torch.multinomial does after its checks, for which it waits for a GPU twice.
        probabilities = logits.detach().log_softmax(-1).exp()
        actions = (probabilities / torch.empty_like(probabilities).exponential_()).argmax(-1)
    actions = actions.long()
    if torch.compiler.is_compiling():  # which fuses what autograd adds
        chosen, entropies, *_ = _evaluate(logits, actions)
        return actions, chosen, entropies
    apply: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] = _Categorical.apply
    return actions, *apply(logits, actions)


def _evaluate(logits: Tensor, actions: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return log-probabilities and entropies (...), and what their gradient is made of.

    Which are: probabilities times -1, log-probabilities (..., n), actions (..., 1).
    """
    log_probabilities = logits.log_softmax(-1)
    negated = -log_probabilities.exp()
    places = actions.unsqueeze(-1)
    chosen = log_probabilities.gather(-1, places).squeeze(-1)
    # Clamped where the probability is 0, because 0 * -inf is NaN.
    finite = log_probabilities.clamp(min=_LOG_OF_ZERO)
    entropies = (negated * finite).sum(-1)
    return chosen, entropies, negated, finite, places


class _Categorical(torch.autograd.Function):
    """`_evaluate` with a gradient in half of autograd's operations.

    For logits x, probabilities p, the action a as a one-hot vector and the entropy H:
    d log p(a) / dx = a - p and dH / dx = -p (log p + H).
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        chosen, entropies, *others = _evaluate(logits, actions)
        ctx.save_for_backward(entropies, *others)
        return chosen, entropies

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_chosen: Tensor, of_entropies: Tensor) -> tuple[Tensor, None]:
        entropies, negated, finite, places = ctx.saved_tensors
        of_chosen, of_entropies = of_chosen.unsqueeze(-1), of_entropies.unsqueeze(-1)
        apart = finite + entropies.unsqueeze(-1)
        gradient = torch.addcmul(of_chosen, of_entropies, apart) * negated
        return gradient.scatter_add_(-1, places, of_chosen), None


def _sample_distributions(
    heads: list[Distribution], actions: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    widths = [_width(head) for head in heads]
    given = [None] * len(heads) if actions is None else actions.split(widths, 1)
    found = [sample_distribution(head, part) for head, part in zip(heads, given, strict=True)]
    drawn, log_probabilities, entropies = zip(*found, strict=True)
    columns = torch.cat([part.reshape(len(part), -1) for part in drawn], 1)
    return columns, _sum(log_probabilities), _sum(entropies)


def _sample_normals(heads: list[Normal], actions: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Sample Normals (B, n) as one, concatenated."""
    joint = Normal(
        torch.cat([head.loc for head in heads], 1),
        torch.cat([head.scale for head in heads], 1),
        validate_args=False,
    )
    return _sample_normal(joint, actions)


def _sample_normal(normal: Normal, actions: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    if actions is None:
        actions = normal.sample()
    log_scale = normal.scale.log()
    entropies = log_scale.sum(-1) + log_scale.shape[-1] * (0.5 + _LOG_ROOT_2_PI)
    return actions, _log_probabilities(normal, actions, log_scale), entropies


def _log_probabilities(normal: Normal, actions: Tensor, log_scale: Tensor) -> Tensor:
    """Return `normal.log_prob(actions).sum(-1)` in half the operations."""
    deviations = (actions - normal.loc) / normal.scale
    sums = torch.addcmul(log_scale, deviations, deviations, value=0.5).sum(-1)
    return -actions.shape[-1] * _LOG_ROOT_2_PI - sums
