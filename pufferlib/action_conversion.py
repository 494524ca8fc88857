"""Convert actions that a policy samples to rows of the action space."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.distributions import Normal

from pufferlib.annotations import Array
from pufferlib.distributions import Head, Heads, bounds_of, check_head, support_of
from pufferlib.emulation.actions import ActionLayout
from pufferlib.emulation.description import HasSpaces, describe
from pufferlib.exceptions import ContractError

_Bounds = tuple[NDArray[np.float64], NDArray[np.float64]]


class SampleScale(NamedTuple):
    """How samples are rescaled to a Box: (sample - center) * factor + middle, by elements.

    Attributes:
        center: float64 (*shape), the middle of the samples' bounds; 0 where nothing is rescaled.
        factor: float64 (*shape), how much wider the Box is; 1 where nothing is rescaled.
        middle: float64 (*shape), the middle of the Box; 0 where nothing is rescaled.
    """

    center: NDArray[np.float64]
    factor: NDArray[np.float64]
    middle: NDArray[np.float64]


def action_converter(env: HasSpaces, policy: nn.Module) -> Callable[[Tensor, Heads], Array]:
    """Return a function that converts actions sampled from `policy` to rows of the action space.

    Choices are unchanged. In columns of a Box with finite bounds, samples are rescaled: from the
    support of their distribution if it is bounded, such as [0, 1] of a Beta or [-1, 1] of a
    TanhNormal. A Normal is unbounded and begins near [-1, 1]: that interval is rescaled, samples
    outside are clipped. Integers are rounded to the nearest. Columns without one of the bounds are
    clipped to the other, and integers rounded toward zero; with `rescale_actions = False` in the
    policy, or a module in it, all columns are. Training uses the sample itself, whose probability
    is known.

    Args:
        env: the environment, vectorizer or description that the actions are for.
        policy: says whether its actions are to be rescaled.

    Returns:
        A function of actions (B, ...), see `sample_actions`, and of the heads that they are from;
        it returns an array (B, *single_action_space.shape).

    Raises:
        ContractError: from the function: the heads have another number of columns than the space,
            or a support that cannot be rescaled.
    """
    description = describe(env)
    space = description.single_action_space
    if not isinstance(space, gymnasium.spaces.Box):
        return lambda actions, heads: _as_numpy(actions, space)
    is_scaled, is_whole = _rescaled(space, description.action_layout, policy)
    of_normals = _rescaler(space, is_scaled, is_whole, _bounds_of_normals(space))

    def convert(actions: Tensor, heads: Heads) -> Array:
        array = _as_numpy(actions, space).reshape(-1, *space.shape)
        parts = _parts(heads)
        if _are_normals(parts):
            return of_normals(array)
        supports = _supports(parts, is_scaled)
        return _rescaler(space, is_scaled, is_whole, supports)(array)

    return convert


def sample_scale(env: HasSpaces, policy: nn.Module) -> Callable[[Heads], SampleScale] | None:
    """Return a function that says how `action_converter` rescales the samples of heads.

    For libraries that clip actions to the bounds of their space themselves.

    Args:
        env: the environment, vectorizer or description that the actions are for.
        policy: says whether its actions are to be rescaled.

    Returns:
        A function of the heads that samples are from, with the errors of `action_converter`'s; None
        if the action space is not a Box.
    """
    description = describe(env)
    space = description.single_action_space
    if not isinstance(space, gymnasium.spaces.Box):
        return None
    is_scaled, _ = _rescaled(space, description.action_layout, policy)
    of_normals = _scale(space, is_scaled, _bounds_of_normals(space))

    def scale_of(heads: Heads) -> SampleScale:
        parts = _parts(heads)
        if _are_normals(parts):
            return of_normals
        return _scale(space, is_scaled, _supports(parts, is_scaled))

    return scale_of


def sample_bounds(env: HasSpaces, policy: nn.Module) -> _Bounds | None:
    """Return the bounds outside which `action_converter` clips the samples of a Normal.

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
    """Return which elements of a Box are rescaled, and which are integers."""
    is_scaled, is_whole = _columns(space, layout)
    if any(getattr(module, "rescale_actions", True) is False for module in policy.modules()):
        is_scaled[...] = False
    return is_scaled, is_whole


def _rescaler(
    space: gymnasium.spaces.Box,
    is_scaled: NDArray[np.bool_],
    is_whole: NDArray[np.bool_],
    supports: _Bounds,
) -> Callable[[Array], Array]:
    """Return a function that converts samples (B, *shape) to rows.

    Args:
        space: of the rows.
        is_scaled: which elements are rescaled from `supports` to the bounds of `space`.
        is_whole: which elements are integers.
        supports: lowest and highest samples, each (*shape,).
    """
    low, high = space.low.astype(np.float64), space.high.astype(np.float64)
    is_same = (low == supports[0]) & (high == supports[1]) & ~is_whole
    if np.all(is_same | ~is_scaled):
        return lambda array: np.clip(array, space.low, space.high).astype(space.dtype, copy=False)
    least = np.where(is_scaled, supports[0], low)
    most = np.where(is_scaled, supports[1], high)
    center, factor, middle = _scale(space, is_scaled, supports)
    is_rounded = is_scaled & is_whole

    def rescale(array: Array) -> Array:
        values = (np.clip(array, least, most) - center) * factor + middle
        values = np.where(is_rounded, np.rint(values), values)
        converted = np.clip(values, low, high).astype(space.dtype)
        return np.clip(converted, space.low, space.high)  # of integers beyond 2 ** 53, too

    return rescale


def _scale(
    space: gymnasium.spaces.Box, is_scaled: NDArray[np.bool_], supports: _Bounds
) -> SampleScale:
    """Return how samples within `supports`, each (*shape,), are rescaled to `space`."""
    low, high = space.low.astype(np.float64), space.high.astype(np.float64)
    least, most = supports
    center, factor, middle = np.zeros(space.shape), np.ones(space.shape), np.zeros(space.shape)
    center[is_scaled] = (least[is_scaled] + most[is_scaled]) / 2
    middle[is_scaled] = (low[is_scaled] + high[is_scaled]) / 2
    factor[is_scaled] = (high - low)[is_scaled] / (most - least)[is_scaled]
    return SampleScale(center, factor, middle)


def _bounds_of_normals(space: gymnasium.spaces.Box) -> _Bounds:
    return -np.ones(space.shape), np.ones(space.shape)


def _parts(heads: Heads) -> Sequence[Head]:
    return [heads] if isinstance(heads, Tensor) or not isinstance(heads, Sequence) else heads


def _are_normals(parts: Sequence[Head]) -> bool:
    return all(isinstance(head, Tensor) or type(head) is Normal for head in parts)


def _supports(heads: Sequence[Head], is_scaled: NDArray[np.bool_]) -> _Bounds:
    """Return the lowest and the highest sample of each element; -1 and 1 where unbounded."""
    found = [_support(head) for head in heads]
    low, high = (np.concatenate(parts) for parts in zip(*found, strict=True))
    low, high = low.reshape(is_scaled.shape), high.reshape(is_scaled.shape)
    is_bounded = np.isfinite(low) & np.isfinite(high)
    is_free = np.isinf(low) & np.isinf(high)
    if np.any(is_scaled & ~is_bounded & ~is_free):
        names = ", ".join(sorted({type(head).__name__ for head in heads}))
        raise ContractError(
            f"Samples with one bound cannot be rescaled to the two of the action space; got heads "
            f"of {names}. Use a head with two bounds or none, or set rescale_actions = False in "
            f"the policy (--policy.no-rescale-actions), which clips."
        )
    return np.where(is_bounded, low, -1.0), np.where(is_bounded, high, 1.0)


def _support(head: Head) -> _Bounds:
    """Return the bounds of each column of a head."""
    if isinstance(head, Tensor):
        return np.array([-math.inf]), np.array([math.inf])
    check_head(head)
    shape = head.batch_shape + head.event_shape
    if support_of(head).is_discrete:
        return np.full(math.prod(shape[1:]), -math.inf), np.full(math.prod(shape[1:]), math.inf)
    found = []
    for bound in bounds_of(head):
        rows = torch.as_tensor(bound, dtype=torch.float64).expand(shape).reshape(shape[0], -1)
        if not torch.equal(rows, rows[:1].expand_as(rows)):
            raise ContractError(
                f"The support of a head must be the same in all rows, to be rescaled to the bounds "
                f"of the action space; that of {type(head).__name__} differs."
            )
        found.append(rows[0].detach().cpu().numpy())
    return found[0], found[1]


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


def _as_numpy(actions: Tensor, space: gymnasium.Space[Any]) -> Array:
    """Return actions as an array; refuse another number of columns than the space has."""
    columns, expected = actions.shape[1:].numel(), math.prod(space.shape or ())
    if columns != expected:
        raise ContractError(
            f"The heads choose {columns} columns; the action space has {expected}. Return one "
            f"head, or several, for as many."
        )
    array: Array = actions.cpu().numpy()
    return array
