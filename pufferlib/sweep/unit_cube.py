"""Parameters as points of the unit cube, and as inputs of a Gaussian process."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

Floats = NDArray[np.float64]


class UnitCube:
    """A search space as [0, 1]^P, with a coordinate for each parameter.

    Logarithmic parameters are spaced evenly by their logarithm. Each value of a grid, and each
    choice, has an interval of the coordinate; `encode` returns a point inside it.

    Args:
        space: Optuna's distributions, by parameter.
    """

    def __init__(self, space: Mapping[str, BaseDistribution]) -> None:
        self.names = list(space)
        self._axes = [_axis(distribution) for distribution in space.values()]

    def encode(self, params: Mapping[str, Any]) -> Floats:
        """Return the point (P,) of parameters; numbers out of range are clipped."""
        pairs = zip(self.names, self._axes, strict=True)
        return np.array([axis.encode(params[name]) for name, axis in pairs])

    def decode(self, point: Floats) -> dict[str, Any]:
        """Return the parameters at a point (P,)."""
        found = zip(self.names, self._axes, point.tolist(), strict=True)
        return {name: axis.decode(coordinate) for name, axis, coordinate in found}

    def snap(self, points: Floats) -> Floats:
        """Return points (N, P) as they are after `decode` and `encode`."""
        snapped = np.clip(points, 0.0, 1.0)
        for index, axis in enumerate(self._axes):
            if axis.is_grid:
                column = snapped[:, index].tolist()
                snapped[:, index] = [axis.encode(axis.decode(each)) for each in column]
        return snapped

    def features(self, points: Floats) -> Floats:
        """Return points (N, P) as inputs (N, D): a choice is one-hot, at distance 1 of others."""
        columns = [
            axis.one_hot(points[:, index])
            if isinstance(axis, _Choices)
            else points[:, index : index + 1]
            for index, axis in enumerate(self._axes)
        ]
        return np.concatenate(columns, axis=1)


class _Choices:
    """The coordinate of a categorical parameter."""

    is_grid = True

    def __init__(self, distribution: CategoricalDistribution) -> None:
        self._distribution = distribution
        self._count = len(distribution.choices)

    def encode(self, value: Any) -> float:
        return (self._distribution.to_internal_repr(value) + 0.5) / self._count

    def decode(self, coordinate: float) -> Any:
        index = min(int(coordinate * self._count), self._count - 1)
        return self._distribution.choices[index]

    def one_hot(self, column: Floats) -> Floats:
        index = np.minimum((column * self._count).astype(np.int64), self._count - 1)
        return np.eye(self._count)[index] / math.sqrt(2)


class _Numbers:
    """The coordinate of a number."""

    def __init__(self, distribution: FloatDistribution | IntDistribution) -> None:
        self._low, self._high = distribution.low, distribution.high
        self._step, self._is_log = distribution.step, distribution.log
        self._is_integer = isinstance(distribution, IntDistribution)
        self.is_grid = self._step is not None
        half = 0.0 if self._step is None else self._step / 2
        self._first = self._scaled(self._low - half)
        self._width = (self._scaled(self._high + half) - self._first) or 1.0

    def encode(self, value: Any) -> float:
        value = min(max(value, self._low), self._high)
        return (self._scaled(value) - self._first) / self._width

    def decode(self, coordinate: float) -> float:
        value = self._first + coordinate * self._width
        value = math.exp(value) if self._is_log else value
        if self._step is not None:
            value = self._low + round((value - self._low) / self._step) * self._step
        value = min(max(value, self._low), self._high)
        return int(value) if self._is_integer else float(value)

    def _scaled(self, value: float) -> float:
        return math.log(value) if self._is_log else float(value)


def _axis(distribution: BaseDistribution) -> _Choices | _Numbers:
    if isinstance(distribution, CategoricalDistribution):
        return _Choices(distribution)
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    return _Numbers(distribution)
