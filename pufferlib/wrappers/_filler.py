"""Filler values for the parts of an observation that do not apply to an agent."""

from typing import Any

from pufferlib.annotations import AnySpace, Structure
from pufferlib.spaces import children, is_space, leaves


def filler(space: AnySpace, path: tuple[Any, ...]) -> Structure:
    """Return the value of `space` nearest to zero, of read-only arrays.

    Args:
        space: any space of fixed size.
        path: the path to `space`, for the error.

    Raises:
        SpaceError: if a leaf has no fixed size; names the path to it.
    """
    parts = children(space)
    if parts is not None:
        values = {key: filler(part, (*path, key)) for key, part in parts}
        return values if is_space(space, "Dict") else tuple(values.values())
    leaf = next(leaves(space, path))
    nearest = leaf.filler
    nearest.flags.writeable = False
    return nearest[()] if leaf.kind == "Discrete" else nearest


def shared(value: Structure) -> Structure:
    """Return the same arrays in new dicts and tuples."""
    if isinstance(value, dict):
        return {key: shared(part) for key, part in value.items()}
    return tuple(map(shared, value)) if isinstance(value, tuple) else value
