"""Normalize observations by their running mean and standard deviation."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pufferlib.emulation.description import HasSpaces, describe
from pufferlib.emulation.layout import Field
from pufferlib.exceptions import ArgumentError
from pufferlib.pytorch import Heads, bitcast, restore_dtype


class NormalizedObservations(nn.Module):
    """Normalize observations to mean 0 and standard deviation 1, clipped, and pass them on.

    Running mean and variance cover all observations passed to `observe` (Chan et al. 1979), as in
    Gymnasium's NormalizeObservation; they are buffers, so checkpoints include them. The trainer
    calls `observe` after each update, so they do not change within a rollout.

    Of an observation of several parts, the float Boxes are normalized and all others passed on as
    they are. A Box named "action_mask" is passed on too. Where the parts differ in dtype, the
    normalized numbers are written back into the row of bytes, in their dtype, so that any policy
    can unflatten it.

    Args:
        env: an emulated or vectorized environment whose observations have floats.
        policy: a `Policy`. To make it recurrent, wrap the result in `LSTMWrapper` or `GRUWrapper`.
        clip: normalized observations are clipped to [-clip, clip].

    Raises:
        ArgumentError: if no part of the observations is a float Box, or the policy has
            `normalize_observations = False`.
    """

    mean: Tensor
    variance: Tensor
    count: Tensor

    def __init__(self, env: HasSpaces, policy: Any, clip: float = 10.0) -> None:
        super().__init__()
        if getattr(policy, "normalize_observations", None) is False:
            raise ArgumentError(
                f"{type(policy).__name__} needs observations as they are. Leave out "
                f"normalize_observations."
            )
        layout = describe(env).observation_layout
        self._layout, space = layout, layout.space
        # With sizes and dtypes as torch.compile can trace them.
        self._fields = [
            (field, field.leaf.size, getattr(torch, field.leaf.dtype.name))
            for field in layout.fields
            if _is_normalized(field)
        ]
        if not self._fields:
            dtypes = ", ".join(sorted({str(field.leaf.dtype) for field in layout.fields}))
            raise ArgumentError(
                f"Only float observations can be normalized; got {dtypes}. Leave out "
                f"normalize_observations, or scale them in the policy."
            )
        self._kept = [(f.start, f.stop) for f in layout.fields if not _is_normalized(f)]
        self.policy, self.clip = policy, clip
        self.hidden_size = getattr(policy, "hidden_size", None)
        self.skips_waiting = getattr(policy, "skips_waiting", False)
        elements = sum(size for _, size, _ in self._fields)
        shape = (elements,) if layout.is_bytes else space.shape
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("variance", torch.ones(shape))
        self.register_buffer("count", torch.tensor(1e-4, dtype=torch.float64))

    def forward(self, observations: Tensor) -> tuple[Heads, Tensor]:
        """Return (actions, value) for observations (B, ...)."""
        heads, value = self.policy(self.normalize(observations))
        return heads, value

    def encode_observations(self, observations: Tensor) -> tuple[Tensor, Any]:
        """Return the result of the policy's `encode_observations` for normalized observations."""
        return self.policy.encode_observations(self.normalize(observations))

    def decode_actions(
        self, hidden: Tensor, lookup: Any = None, concat: bool | None = None
    ) -> tuple[Heads, Tensor]:
        """Return the result of the policy's `decode_actions`."""
        return self.policy.decode_actions(hidden, lookup)

    def normalize(self, observations: Tensor) -> Tensor:
        """Return observations (..., *shape) normalized: float32, or rows of bytes as they came."""
        if not self._layout.is_bytes:
            normalized = self._normalized(observations, self.mean, self.variance)
            for start, stop in self._kept:
                normalized[..., start:stop] = observations[..., start:stop].float()
            return normalized
        rows = restore_dtype(observations, self._layout)
        parts = [
            bitcast(rows[..., field.start : field.stop], dtype) for field, _, dtype in self._fields
        ]
        pieces, end = [], 0
        for (field, _, _), part in zip(self._fields, self._normalized_parts(parts), strict=True):
            pieces += [rows[..., end : field.start], bitcast(part, torch.uint8)]
            end = field.stop
        return torch.cat([*pieces, rows[..., end:]], -1)

    def normalize_parts(self, parts: Sequence[Tensor]) -> list[Tensor]:
        """Return the parts of observations that are rows of bytes, the float Boxes normalized.

        Args:
            parts: (..., elements) in its own dtype, for each field of the observation layout.
        """
        fields = self._layout.fields
        floats = [part for part, f in zip(parts, fields, strict=True) if _is_normalized(f)]
        normalized = iter(self._normalized_parts(floats))
        return [
            next(normalized) if _is_normalized(f) else part
            for part, f in zip(parts, fields, strict=True)
        ]

    def _normalized_parts(self, parts: Sequence[Tensor]) -> list[Tensor]:
        """Return normalized numbers of the fields that have statistics, in their dtypes."""
        normalized, start = [], 0
        for part, (_, size, dtype) in zip(parts, self._fields, strict=True):
            own = slice(start, start + size)
            normalized.append(self._normalized(part, self.mean[own], self.variance[own]).to(dtype))
            start = own.stop
        return normalized

    def _normalized(self, numbers: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        apart = (numbers - mean) / (variance + 1e-8).sqrt()
        return apart.clamp(-self.clip, self.clip).float()

    @torch.no_grad()
    def observe(
        self,
        observations: Tensor,
        valid: Tensor,
        all_reduce_sum: Callable[[Tensor], Tensor] = lambda tensor: tensor,
    ) -> None:
        """Update mean and variance with the observations of a rollout.

        Args:
            observations: (T, B, *shape).
            valid: bool (T, B), True if an agent was present; other rows are ignored.
            all_reduce_sum: sums a tensor over all processes that learn together.
        """
        kept = self._numbers(observations[valid]).to(self.mean.device, torch.float64)
        count = all_reduce_sum(self.count.new_tensor(len(kept)))
        if count == 0:
            return
        mean = all_reduce_sum(kept.sum(0)) / count
        squares = all_reduce_sum((kept - mean).square().sum(0))
        counted, apart = self.count + count, mean - self.mean
        squares += self.variance * self.count + apart**2 * self.count * count / counted
        self.variance.copy_(squares / counted)
        self.mean.add_(apart * count / counted)
        self.count.copy_(counted)

    def _numbers(self, rows: Tensor) -> Tensor:
        """Return the floats of rows (N, *shape) that have statistics: (N, *mean.shape)."""
        if not self._layout.is_bytes:
            return rows
        rows = restore_dtype(rows, self._layout)
        found = [
            bitcast(rows[:, field.start : field.stop], dtype).double()
            for field, _, dtype in self._fields
        ]
        return torch.cat(found, 1)


def gains_from_normalization(env: HasSpaces) -> bool:
    """Return whether `env` observes floats whose bounds are neither [0, 1] nor [-1, 1]."""
    leaves = [f.leaf for f in describe(env).observation_layout.fields if _is_normalized(f)]
    return any(
        bool(np.any((leaf.high != 1) | ((leaf.low != 0) & (leaf.low != -1)))) for leaf in leaves
    )


def _is_normalized(field: Field) -> bool:
    """Return whether the numbers of a leaf are to be normalized: a mask of actions is not."""
    leaf = field.leaf
    is_mask = len(leaf.path) > 0 and leaf.path[-1] == "action_mask"
    return leaf.kind == "Box" and leaf.dtype.kind == "f" and not is_mask
