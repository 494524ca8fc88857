"""What arguments have to be, in whatever part of pufferlib they are given."""

import math
import numbers
import operator
from typing import Any

import numpy as np

from pufferlib.exceptions import ArgumentError


def as_whole(value: Any) -> int | None:
    """Return `value` as an int, whichever integer type it has; None for all else, also a bool."""
    try:
        return None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        return None


def whole_number(name: str, value: Any, least: int = 1, most: int | None = None) -> int:
    """Return `value` as an int, whichever integer type it has.

    Raises:
        ArgumentError: it is a bool or no integer, or not from `least` to `most`.
    """
    whole = as_whole(value)
    if whole is None or whole < least or (most is not None and whole > most):
        bounds = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise ArgumentError(f"{name} must be a whole number {bounds}; got {value!r}.")
    return whole


def finite_number(name: str, value: Any, least: float = -math.inf) -> float:
    """Return `value` as a float, whichever type of real number it has.

    Raises:
        ArgumentError: it is a bool, no number, infinite, NaN, or below `least`.
    """
    is_number = isinstance(value, numbers.Real) and not isinstance(value, (bool, np.bool_))
    if not is_number or not math.isfinite(value) or value < least:
        bound = "" if least == -math.inf else f" of at least {least:g}"
        raise ArgumentError(f"{name} must be a finite number{bound}; got {value!r}.")
    return float(value)
