"""The torch side of emulation: unflatten tensors, and sample any action space."""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.distributions import Distribution, Normal

from pufferlib.action_conversion import action_converter
from pufferlib.annotations import Structure
from pufferlib.distributions import Head, Heads, check_head, mode_of, sample_distribution
from pufferlib.emulation.layout import Layout, nest
from pufferlib.exceptions import ObservationError
from pufferlib.published_names import names_of

__all__ = [
    "Head",
    "Heads",
    "action_converter",
    "bitcast",
    "layer_init",
    "restore_dtype",
    "sample_actions",
    "unflatten",
]

_LOG_OF_ZERO = -1e3  # its exponential is 0, in float64 too

TORCH_DTYPES = {
    np.dtype(name): getattr(torch, name)
    for name in (
        "bool",
        "uint8",
        "uint16",
        "uint32",
        "uint64",
        "int8",
        "int16",
        "int32",
        "int64",
        "float16",
        "float32",
        "float64",
    )
}


def unflatten(observations: Tensor, layout: Layout | None) -> Structure:
    """Return a batch of flat observations in the environment's original structure, as views.

    Args:
        observations: (*batch, *layout.space.shape), of the layout's dtype, on any device. The last
            axis must be contiguous. Rows of bytes or other integers may be of another dtype that
            represents them exactly, as `torch.Tensor(rows)` makes them: they are cast back.
        layout: `observation_layout` of an emulated or vectorized environment; None if its
            observations are flat already.

    Returns:
        A tensor, or dicts and tuples of tensors, each (*batch, *leaf.shape) in the leaf's dtype.

    Raises:
        ObservationError: rows of another dtype, with values that the layout's cannot represent. Not
            checked while `torch.compile` traces.

    `torch.compile` traces it without a graph break. A leaf that a compiled function returns is a
    copy if its dtype differs from the row's.
    """
    if layout is None:
        return observations
    observations = restore_dtype(observations, layout)
    row_dtype = TORCH_DTYPES[np.dtype(layout.space.dtype)]
    if layout.is_identity and layout.fields[0].leaf.kind == "Box":
        return observations
    batch = observations.shape[:-1]
    values = []
    for field in layout.fields:
        piece = observations[..., field.start : field.stop]
        dtype = TORCH_DTYPES[field.leaf.dtype]
        if dtype != row_dtype:  # torch's dtypes: torch.compile cannot compare NumPy's
            piece = bitcast(piece, dtype)
        values.append(piece.reshape((*batch, *field.leaf.shape)))
    return nest(layout.structure, iter(values))


def restore_dtype(observations: Tensor, layout: Layout) -> Tensor:
    """Return integer rows that were cast to another dtype in their own; others as they are.

    Raises:
        ObservationError: see `unflatten`.
    """
    dtype = TORCH_DTYPES[np.dtype(layout.space.dtype)]
    if observations.dtype == dtype or dtype.is_floating_point:
        return observations
    rows = observations.to(dtype)
    if torch.compiler.is_compiling():
        return rows
    is_exact = torch.equal(rows.to(observations.dtype), observations)
    if is_exact and observations.dtype.is_floating_point:  # from here on it skips integers
        is_exact = not bool((observations.abs() >= 2 / torch.finfo(observations.dtype).eps).any())
    if is_exact:
        return rows
    raise ObservationError(
        f"Observations of this environment are rows of {_name(dtype)}; got {_name(observations)} "
        f"with values that are no {_name(dtype)}. Rows must not be scaled or normalized: the "
        f"policy does that after unflatten. Pass torch.as_tensor(observations)."
    )


def _name(kind: torch.dtype | Tensor) -> str:
    """Return the name of a dtype, or of a tensor's dtype, without "torch."."""
    dtype = kind.dtype if isinstance(kind, Tensor) else kind
    return str(dtype).removeprefix("torch.")


def bitcast(piece: Tensor, dtype: torch.dtype) -> Tensor:
    """Return bytes (..., n) as numbers of `dtype`, or numbers as bytes.

    A view, or new values while `torch.compile` traces: Torch 2.13 returns a wrong shape for such a
    view from a function compiled for any batch size, and its C++ backend cannot view bytes as bool.
    Leaves used inside the compiled function are fused into their use, without a copy.
    """
    if not torch.compiler.is_compiling():
        return piece.view(dtype)
    return piece != 0 if dtype == torch.bool else piece.view(dtype).clone()


def layer_init(layer: Any, std: float = math.sqrt(2), bias: float = 0.0) -> Any:
    """Initialize a linear or convolutional layer orthogonally (Saxe et al. 2014); return it.

    Args:
        layer: a module with `weight` and `bias`; changed in place.
        std: gain of the orthogonal matrix; PPO uses sqrt(2) for hidden layers, 0.01 for the
            policy's last layer and 1 for the value's (Engstrom et al. 2020, arXiv:2005.12729).
        bias: constant value of the bias.
    """
    nn.init.orthogonal_(layer.weight, std)
    nn.init.constant_(layer.bias, bias)
    return layer


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
        if _is_normal(heads):
            actions = heads.sample()
            return actions, heads.log_prob(actions).sum(-1)
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
    """Return log-probabilities and entropies (...), and what their gradient is made of."""
    log_probabilities = logits.log_softmax(-1)
    probabilities = log_probabilities.exp()
    places = actions.unsqueeze(-1)
    chosen = log_probabilities.gather(-1, places).squeeze(-1)
    # Clamped where the probability is 0, because 0 * -inf is NaN.
    finite = log_probabilities.clamp(min=_LOG_OF_ZERO)
    entropies = -(probabilities * finite).sum(-1)
    return chosen, entropies, probabilities, finite, places


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
        entropies, probabilities, finite, places = ctx.saved_tensors
        of_chosen, of_entropies = of_chosen.unsqueeze(-1), of_entropies.unsqueeze(-1)
        apart = finite + entropies.unsqueeze(-1)
        gradient = -(torch.addcmul(of_chosen, of_entropies, apart) * probabilities)
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
    return actions, normal.log_prob(actions).sum(-1), normal.entropy().sum(-1)


if not TYPE_CHECKING:
    __getattr__, __dir__ = names_of(__name__)
