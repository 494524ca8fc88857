"""The torch side of emulation: unflatten tensors, and sample actions."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from pufferlib.action_conversion import action_converter
from pufferlib.action_sampling import greedy_actions, sample_actions
from pufferlib.annotations import Structure
from pufferlib.distributions import Head, Heads
from pufferlib.emulation.layout import Layout, nest
from pufferlib.exceptions import ObservationError
from pufferlib.published_names import names_of

__all__ = [
    "Head",
    "Heads",
    "action_converter",
    "bitcast",
    "greedy_actions",
    "layer_init",
    "restore_dtype",
    "sample_actions",
    "unflatten",
]

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


if not TYPE_CHECKING:
    __getattr__, __dir__ = names_of(__name__)
