"""Spaces of the old `gym` and of Gymnasium: functions from a `spaces` module to a space."""

import contextlib
import io
import warnings
from types import ModuleType
from typing import Any

import numpy as np

# The real package is imported, without which these tests fail. It prints that it is unmaintained,
# and parts of it do not support NumPy 2.
with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import gym  # noqa: F401  (for the tests to import from here)


def _declare(space: Any, **bounds: int) -> Any:
    """Declare bounds by attributes, like the user of another package's space."""
    for name, bound in bounds.items():
        setattr(space, name, bound)
    return space


def _nested(of: ModuleType) -> Any:
    inner = of.Tuple((of.Discrete(3, start=1), of.Box(-1, 1, (1, 2), np.float64)))
    return of.Dict(inner=of.Dict(pair=inner), flags=of.MultiBinary((2, 2)))


FIXED = {
    "box": lambda of: of.Box(np.float32([-1, 0]), np.float32([2, 9])),
    "box of bytes": lambda of: of.Box(0, 255, (4, 3, 2), np.uint8),
    "discrete": lambda of: of.Discrete(4),
    "discrete with start": lambda of: of.Discrete(5, start=-2),
    "multi-discrete": lambda of: of.MultiDiscrete([[3, 2], [4, 6]]),
    "multi-binary": lambda of: of.MultiBinary((3, 2)),
    "dict": lambda of: of.Dict(z=of.Discrete(2), a=of.Box(0, 1, (2,))),
    "tuple": lambda of: of.Tuple((of.Discrete(3, start=7), of.MultiBinary(2))),
    "nested": _nested,
}
VARYING = {
    "text": lambda of: of.Text(3),
    "text of a charset": lambda of: of.Text(4, min_length=2, charset="zab"),
    "sequence": lambda of: _declare(of.Sequence(of.Discrete(3, start=1)), max_length=50),
    "sequence of dicts": lambda of: _declare(
        of.Sequence(of.Dict(a=of.Box(0, 1, (2,)), b=of.Text(2))), max_length=50
    ),
    "graph": lambda of: _declare(
        of.Graph(of.Box(0, 1, (2,)), of.Discrete(3)), max_nodes=10, max_edges=90
    ),
    "nested text": lambda of: of.Dict(
        z=of.Tuple((of.Discrete(3, start=2), of.Text(2))),
        a=of.MultiDiscrete([3, 4]),
        m=of.MultiBinary(2),
    ),
}
