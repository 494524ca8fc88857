"""What stands where an observation has a part that nobody fills."""

from typing import Any

from pufferlib.spaces import Path, children, is_space, leaves


def filler(space: Any, path: Path) -> Any:
    """Return the value of `space` nearest to zero, of read-only arrays.

    Args:
        space: any that has a fixed size.
        path: to `space`, for the error.

    Raises:
        SpaceError: a leaf has no fixed size; names the path to it.
    """
    parts = children(space)
    if parts is not None:
        values = {key: filler(part, (*path, key)) for key, part in parts}
        return values if is_space(space, "Dict") else tuple(values.values())
    leaf = next(leaves(space, path))
    nearest = leaf.filler
    nearest.flags.writeable = False
    return nearest[()] if leaf.kind == "Discrete" else nearest


def shared(value: Any) -> Any:
    """Return the same arrays in dicts and tuples of their own."""
    if isinstance(value, dict):
        return {key: shared(part) for key, part in value.items()}
    return tuple(map(shared, value)) if isinstance(value, tuple) else value
