"""Published functions on spaces and rows: rows are viewed as structured NumPy values."""

from typing import Any

import gymnasium
import numpy as np

from pufferlib.annotations import AnySpace, Array, Space, Structure
from pufferlib.emulation.actions import ActionLayout
from pufferlib.emulation.layout import Layout
from pufferlib.emulation.published import structured_dtype
from pufferlib.spaces import children, is_space

Dtype = np.dtype[Any]


def dtype_from_space(space: AnySpace) -> Dtype:
    """Return the dtype of one row of `space` as a structured value."""
    return structured_dtype(Layout.of(space))


def emulate_observation_space(space: AnySpace) -> tuple[gymnasium.spaces.Box, Dtype]:
    """Return the flat space of `space`, and the dtype of its row as a structured value."""
    return Layout.of(space).space, dtype_from_space(space)


def emulate_action_space(space: AnySpace) -> tuple[Space, Dtype]:
    """Return the flat action space of `space`, and the dtype of its row as a structured value."""
    layout = ActionLayout.of(space)
    return layout.space, structured_dtype(layout)


def emulate(struct: Array, sample: Structure) -> None:
    """Write `sample`, nested dicts and tuples, into a structured array, in place."""
    if isinstance(sample, dict):
        for name, part in sample.items():
            emulate(struct[name], part)
    elif isinstance(sample, tuple):
        for index, part in enumerate(sample):
            emulate(struct[f"f{index}"], part)
    else:
        struct[()] = sample


def emulate_copy(sample: Structure, arr_dtype: Dtype, struct_dtype: Dtype) -> Array:
    """Return `sample` as a new flat row of `arr_dtype`."""
    struct = np.zeros(1, struct_dtype)
    emulate(struct, sample)
    return struct.view(arr_dtype).ravel()


def nativize(arr: Array, space: AnySpace, struct_dtype: Dtype) -> Structure:
    """Return one flat row as a value of `space`."""
    row = np.ascontiguousarray(arr)
    if struct_dtype.subdtype is not None:  # a lone array, which is its own row
        return row.view(struct_dtype.base).reshape(struct_dtype.shape)
    return _nested(row.view(struct_dtype)[0], space)


def _nested(struct: Any, space: AnySpace) -> Structure:
    parts = children(space)
    if parts is None:
        return struct.item() if is_space(space, "Discrete") else struct
    if is_space(space, "Dict"):
        return {name: _nested(struct[name], part) for name, part in parts}
    return tuple(_nested(struct[f"f{index}"], part) for index, part in parts)
