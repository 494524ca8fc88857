"""Checks of arguments that several parts of pufferlib share."""

import math
import numbers
import operator
from typing import Any

import numpy as np

from pufferlib.exceptions import ArgumentError


def as_whole(value: Any) -> int | None:
    """Return a value of any integer type as an int; None for other types, including bool."""
    try:
        return None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        return None


def whole_number(name: str, value: object, least: int = 1, most: int | None = None) -> int:
    """Return a value of any integer type as an int.

    Raises:
        ArgumentError: if it is a bool, not an integer, or not from `least` to `most`.
    """
    whole = as_whole(value)
    if whole is None or whole < least or (most is not None and whole > most):
        bounds = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise ArgumentError(f"{name} must be a whole number {bounds}; got {value!r}.")
    return whole


def finite_number(name: str, value: Any, least: float = -math.inf) -> float:
    """Return a value of any real type as a float.

    Raises:
        ArgumentError: if it is a bool, not a number, infinite, NaN, or below `least`.
    """
    is_number = isinstance(value, numbers.Real) and not isinstance(value, (bool, np.bool_))
    if not is_number or not math.isfinite(value) or value < least:
        bound = "" if least == -math.inf else f" of at least {least:g}"
        raise ArgumentError(f"{name} must be a finite number{bound}; got {value!r}.")
    return float(value)


def brief(value: object, length: int = 60) -> str:
    """Return the class and the start of the repr of `value`, for an error message.

    A value whose repr fails, such as an int of five thousand digits, is named by its class alone.
    """
    name = type(value).__name__
    try:
        text = repr(value)
    except Exception:  # a repr may raise anything
        return name
    return f"{name} {text[:length]}{'...' if len(text) > length else ''}"
