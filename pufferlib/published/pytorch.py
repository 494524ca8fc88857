"""Published functions on tensors: rows as structures, and sampling."""

from typing import Any, Literal, TypeAlias

import gymnasium
import numpy as np
import torch
from torch import Tensor

from pufferlib.annotations import AnySpace, Structure
from pufferlib.emulation.layout import Layout
from pufferlib.emulation.published import EmulatedDtypes
from pufferlib.exceptions import ArgumentError
from pufferlib.pytorch import TORCH_DTYPES, bitcast, unflatten

NativeDType: TypeAlias = tuple[torch.dtype, tuple[int, ...], int, int] | dict[str, "NativeDType"]
"""Of a part of a row: its dtype, its shape, its first element and their number; or parts by name"""


def nativize_dtype(emulated: EmulatedDtypes | Literal[False]) -> NativeDType:
    """Return where the parts of a row are, for `nativize_tensor`.

    Args:
        emulated: that of an environment or a vectorizer, or any object with its two dtypes.

    Raises:
        ArgumentError: it is False, as that of native environments, whose rows have no parts.
    """
    if emulated is False:
        raise ArgumentError(
            "nativize_dtype takes the dtypes of an emulated environment; this one is native, and "
            "emulated is False. Its rows are the observations: use them as they are."
        )
    element = np.dtype(emulated.observation_dtype).base
    return _native(np.dtype(emulated.emulated_observation_dtype), element.itemsize, 0)


def _native(dtype: np.dtype[Any], unit: int, offset: int) -> NativeDType:
    """Return a part that begins `offset` bytes into rows with elements of `unit` bytes."""
    if dtype.fields is not None:
        fields = dtype.fields.items()
        return {name: _native(part[0], unit, offset + part[1]) for name, part in fields}
    shape = dtype.shape or (1,)
    return TORCH_DTYPES[dtype.base], shape, offset // unit, dtype.itemsize // unit


def nativize_tensor(observation: Tensor, native_dtype: NativeDType) -> Structure:
    """Return rows (B, size) as the tensor or the nested dicts of tensors they stand for, as views.

    A Tuple is a dict with the names f0, f1 and so on, and a number has the shape (B, 1).
    """
    if isinstance(native_dtype, dict):
        parts = native_dtype.items()
        return {name: nativize_tensor(observation, part) for name, part in parts}
    dtype, shape, start, size = native_dtype
    piece = observation.reshape(len(observation), -1)[:, start : start + size]
    if dtype != piece.dtype:
        piece = bitcast(piece, dtype)
    return piece.reshape(-1, *shape)


def unpack_batched_obs(
    batched_obs: Any, flat_observation_space: Any, flat_observation_structure: object = None
) -> Structure:
    """Return flat observations in the environment's structure; as `pufferlib.pytorch.unflatten`.

    Args:
        batched_obs: (B, ...), a tensor, or an array, whose parts are arrays. An array that torch
            cannot share, read-only or with a negative stride, is copied.
        flat_observation_space: that of an environment or a vectorizer, its `unflatten_context`, or
            the environment's own space. The two may be given in either order: 0.2 had the space
            first.
        flat_observation_structure: without effect; the space has it. 0.4 to 0.6 passed it.
    """
    space: AnySpace = flat_observation_space
    if isinstance(batched_obs, gymnasium.Space):
        batched_obs, space = space, batched_obs
    is_array = isinstance(batched_obs, np.ndarray)
    if is_array and (not batched_obs.flags.writeable or min(batched_obs.strides, default=0) < 0):
        batched_obs = batched_obs.copy()
    parts = unflatten(
        torch.as_tensor(batched_obs), getattr(space, "layout", None) or Layout.of(space)
    )
    return _arrays(parts) if is_array else parts


def _arrays(parts: Structure) -> Structure:
    """Return nested tensors as arrays, without a copy."""
    if isinstance(parts, dict):
        return {name: _arrays(part) for name, part in parts.items()}
    return tuple(map(_arrays, parts)) if isinstance(parts, tuple) else parts.numpy()
