"""The torch side of emulation: unflatten tensors, and sample any action space."""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.distributions import Normal

from pufferlib.annotations import Array, Structure
from pufferlib.emulation.actions import ActionLayout
from pufferlib.emulation.description import HasSpaces, describe
from pufferlib.emulation.layout import Layout, nest
from pufferlib.exceptions import ObservationError

Head = Tensor | Normal
Heads = Head | Sequence[Head]

_DTYPES = {
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
    row_dtype = _DTYPES[np.dtype(layout.space.dtype)]
    if observations.dtype != row_dtype and not row_dtype.is_floating_point:
        observations = _cast_back(observations, row_dtype)
    if layout.is_identity and layout.fields[0].leaf.kind == "Box":
        return observations
    batch = observations.shape[:-1]
    values = []
    for field in layout.fields:
        piece = observations[..., field.start : field.stop]
        dtype = _DTYPES[field.leaf.dtype]
        if dtype != row_dtype:  # torch's dtypes: torch.compile cannot compare NumPy's
            piece = _bitcast(piece, dtype)
        values.append(piece.reshape((*batch, *field.leaf.shape)))
    return nest(layout.structure, iter(values))


def _cast_back(observations: Tensor, dtype: torch.dtype) -> Tensor:
    """Return integer rows that were cast to another dtype in their own."""
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


def _bitcast(piece: Tensor, dtype: torch.dtype) -> Tensor:
    """Return bytes (..., n) as `dtype`: a view, or new values while `torch.compile` traces.

    Torch 2.13 returns a wrong shape for such a view from a function compiled for any batch size,
    and its C++ backend cannot view bytes as bool. Leaves used inside the compiled function are
    fused into their use, without a copy.
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
        heads: logits (B, n) of one discrete action; a Normal over (B, n) continuous ones; or a
            sequence of these, for action spaces of several parts, in the order of the columns.
        actions: evaluate these instead of sampling; with the shape of the result.

    Returns:
        actions: (B,) int64 for one discrete action, else (B, columns): int64 if all are discrete,
            else the dtype of the continuous ones.
        log_probabilities: (B,), summed over the columns.
        entropies: (B,), summed over the columns.
    """
    if isinstance(heads, Tensor):
        return _sample_discrete(heads, actions)
    if isinstance(heads, Normal):
        return _sample_normal(heads, actions)
    columns: list[Tensor] = []
    log_probabilities, entropies, start = [], [], 0
    for is_normal, part in itertools.groupby(heads, lambda head: isinstance(head, Normal)):
        run: list[Any] = list(part)
        width = sum(int(head.loc.shape[-1]) for head in run) if is_normal else len(run)
        given = None if actions is None else actions[:, start : start + width]
        start += width
        sample: Any = _sample_normals if is_normal else _sample_discretes
        column, log_probability, entropy = sample(run, given)
        columns.append(column)
        log_probabilities.append(log_probability)
        entropies.append(entropy)
    return torch.cat(columns, 1), _sum(log_probabilities), _sum(entropies)


def action_converter(env: HasSpaces, policy: nn.Module) -> Callable[[Tensor], Array]:
    """Return a function that converts actions sampled from `policy` to rows of the action space.

    Choices are unchanged. A Normal is unbounded and begins near [-1, 1]: there, a column of a Box
    with finite bounds is rescaled from [-1, 1] to its bounds, samples outside are clipped, and
    integers are rounded to the nearest. Columns without one of the bounds are clipped to the other,
    and integers rounded toward zero; with `rescale_actions = False` in the policy, or a module in
    it, all columns are. Training uses the sample itself, whose probability is known.

    Args:
        env: the environment, vectorizer or description that the actions are for.
        policy: says whether its actions are to be rescaled.

    Returns:
        A function of actions (B, ...), see `sample_actions`; it returns an array
        (B, *single_action_space.shape).
    """
    description = describe(env)
    space = description.single_action_space
    if not isinstance(space, gymnasium.spaces.Box):
        return _as_numpy
    is_scaled, is_whole = _rescaled(space, description.action_layout, policy)
    low, high = space.low.astype(np.float64), space.high.astype(np.float64)
    is_unit = (low == -1) & (high == 1) & ~is_whole
    if np.all(is_unit | ~is_scaled):
        return lambda actions: _clipped(actions, space)
    least, most = np.where(is_scaled, -1, low), np.where(is_scaled, 1, high)
    middle, half = np.zeros(space.shape), np.ones(space.shape)
    middle[is_scaled] = (low[is_scaled] + high[is_scaled]) / 2
    half[is_scaled] = (high[is_scaled] - low[is_scaled]) / 2
    is_rounded = is_scaled & is_whole

    def convert(actions: Tensor) -> Array:
        array = _as_numpy(actions).reshape(-1, *space.shape)
        values = np.clip(array, least, most) * half + middle
        values = np.where(is_rounded, np.rint(values), values)
        converted = np.clip(values, low, high).astype(space.dtype)
        return np.clip(converted, space.low, space.high)  # of integers beyond 2 ** 53, too

    return convert


def sample_bounds(env: HasSpaces, policy: nn.Module) -> tuple[Array, Array] | None:
    """Return the bounds outside which `action_converter` clips what `policy` samples.

    Args:
        env: the environment, vectorizer or description that the actions are for.
        policy: says whether its actions are to be rescaled.

    Returns:
        The lowest and the highest sample, each float64 (*single_action_space.shape); None for
        choices.
    """
    description = describe(env)
    space = description.single_action_space
    if not isinstance(space, gymnasium.spaces.Box):
        return None
    is_scaled, _ = _rescaled(space, description.action_layout, policy)
    low, high = space.low.astype(np.float64), space.high.astype(np.float64)
    return np.where(is_scaled, -1, low), np.where(is_scaled, 1, high)


def _rescaled(
    space: gymnasium.spaces.Box, layout: ActionLayout | None, policy: nn.Module
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which elements of a Box are rescaled from [-1, 1], and which are integers."""
    is_scaled, is_whole = _columns(space, layout)
    if any(getattr(module, "rescale_actions", True) is False for module in policy.modules()):
        is_scaled[...] = False
    return is_scaled, is_whole


def _columns(
    space: gymnasium.spaces.Box, layout: ActionLayout | None
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which elements of a Box are continuous and bounded, and which are integers."""
    is_bounded = _is_bounded(space.low, space.high, space.dtype)
    is_whole = np.full(space.shape, space.dtype.kind != "f")
    for field in () if layout is None else layout.fields:
        leaf, columns = field.leaf, slice(field.start, field.stop)
        is_bounded[columns] = leaf.is_continuous
        if leaf.is_continuous:
            is_bounded[columns] &= _is_bounded(leaf.low, leaf.high, leaf.dtype).ravel()
        is_whole[columns] = leaf.dtype.kind != "f"
    return is_bounded, is_whole


def _is_bounded(low: Array, high: Array, dtype: np.dtype[Any]) -> NDArray[np.bool_]:
    """Return which elements have two bounds.

    Some environments declare the limits of the dtype where they mean infinity. So a range wider
    than the largest float32 counts as unbounded, and so does a limit of integers of four or more
    bytes.
    """
    with np.errstate(over="ignore"):
        width = high.astype(np.float64) - low.astype(np.float64)
    if dtype.kind not in "iu":
        return width < np.finfo(np.float32).max
    limits = np.iinfo(dtype)
    is_limit = (high == limits.max) | ((low == limits.min) & (limits.min < 0))
    return np.asarray((width < 2**53) & ~(is_limit & (dtype.itemsize >= 4)))


def _clipped(actions: Tensor, space: gymnasium.spaces.Box) -> Array:
    array = _as_numpy(actions).reshape(-1, *space.shape)
    return np.clip(array, space.low, space.high).astype(space.dtype, copy=False)


def _as_numpy(actions: Tensor) -> Array:
    array: Array = actions.cpu().numpy()
    return array


def _sum(tensors: list[Tensor]) -> Tensor:
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
    log_probabilities = logits.log_softmax(-1)
    probabilities = log_probabilities.exp()
    if actions is None:
        flat = probabilities.reshape(-1, logits.shape[-1])
        actions = torch.multinomial(flat, 1).reshape(logits.shape[:-1])
    actions = actions.long()
    chosen = log_probabilities.gather(-1, actions.unsqueeze(-1)).squeeze(-1)
    # Clamped because 0 * -inf is NaN; torch.special.entr has no finite gradient at 0.
    finite = log_probabilities.clamp(min=torch.finfo(log_probabilities.dtype).min)
    return actions, chosen, -(probabilities * finite).sum(-1)


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
