"""What arguments have to be, in whatever part of pufferlib they are given."""

import operator
from typing import Any

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
