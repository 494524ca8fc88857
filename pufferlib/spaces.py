"""What a leaf of a space is, and what many spaces joined look like.

Gymnasium's classes and those of the old `gym` package stand side by side: whatever is asked of a
space here is answered for both. `gym` is never imported; its classes are recognised if the
environment itself has loaded them.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import gymnasium
import numpy as np
from numpy.typing import NDArray

from pufferlib.exceptions import SpaceError

Path = tuple[str | int, ...]
LeafKind = Literal["Box", "Discrete", "MultiDiscrete", "MultiBinary"]
LEAF_KINDS: tuple[LeafKind, ...] = ("Box", "Discrete", "MultiDiscrete", "MultiBinary")


@dataclass(frozen=True)
class Leaf:
    """One array at the bottom of a space.

    Attributes:
        path: the keys and indices that lead to it; () where the space itself is a leaf.
        kind: the name of its class.
        dtype: of its values.
        shape: of its values; () for Discrete.
        low: smallest allowed values, of `shape`.
        high: largest allowed values, of `shape`, inclusive.
    """

    path: Path
    kind: LeafKind
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    low: NDArray[Any]
    high: NDArray[Any]

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    @property
    def is_continuous(self) -> bool:
        return self.kind == "Box"


def is_space(space: Any, kind: str) -> bool:
    """Tell whether `space` is an instance of the class `kind`, of gymnasium or of gym."""
    gym = sys.modules.get("gym")
    classes = [getattr(gymnasium.spaces, kind)]
    if gym is not None and hasattr(gym, "spaces") and hasattr(gym.spaces, kind):
        classes.append(getattr(gym.spaces, kind))
    return isinstance(space, tuple(classes))


def children(space: Any) -> list[tuple[str | int, Any]] | None:
    """Return the (key, subspace) pairs of a Dict or Tuple in the space's own order, else None."""
    if is_space(space, "Dict"):
        return list(space.spaces.items())
    if is_space(space, "Tuple"):
        return list(enumerate(space.spaces))
    return None


def leaves(space: Any, path: Path = ()) -> Iterator[Leaf]:
    """Yield the leaves of `space`, depth first, in the space's own order.

    Raises:
        SpaceError: where a leaf has no fixed size; names the path to it.
    """
    parts = children(space)
    if parts is not None:
        for key, part in parts:
            yield from leaves(part, (*path, key))
        return
    yield _leaf(space, path)


def _leaf(space: Any, path: Path) -> Leaf:
    if is_space(space, "Box"):
        return Leaf(path, "Box", np.dtype(space.dtype), space.shape, space.low, space.high)
    if is_space(space, "Discrete"):
        start = int(getattr(space, "start", 0))
        dtype = np.dtype(space.dtype or np.int64)
        low, high = np.array(start, dtype), np.array(start + int(space.n) - 1, dtype)
        return Leaf(path, "Discrete", dtype, (), low, high)
    if is_space(space, "MultiDiscrete"):
        dtype = np.dtype(space.dtype)
        low = np.asarray(getattr(space, "start", np.zeros_like(space.nvec)), dtype)
        high = (low + space.nvec - 1).astype(dtype)
        return Leaf(path, "MultiDiscrete", dtype, space.nvec.shape, low, high)
    if is_space(space, "MultiBinary"):
        dtype = np.dtype(space.dtype)
        low, high = np.zeros(space.shape, dtype), np.ones(space.shape, dtype)
        return Leaf(path, "MultiBinary", dtype, space.shape, low, high)
    if isinstance(space, type):
        raise SpaceError(
            f"{name_of(path)} is the class {space.__name__}; a space must be an instance."
        )
    raise SpaceError(
        f"{name_of(path)} is {space!r}, which has no fixed-size layout. Supported are Dict, Tuple, "
        f"{', '.join(LEAF_KINDS)}, in any nesting. Wrap the environment so that this part is one "
        f"of those, or is left out."
    )


def name_of(path: Path) -> str:
    """Return how a user would index to the leaf: `space['stats'][0]`."""
    return "space" + "".join(f"[{key!r}]" for key in path)


def value_at(value: Any, path: Path) -> Any:
    """Follow `path` into a nested observation or action."""
    for key in path:
        value = value[key]
    return value


def joint_space(space: gymnasium.Space[Any], rows: int) -> gymnasium.Space[Any]:
    """Return the space of `rows` values of `space` stacked on a new first axis."""
    return gymnasium.vector.utils.batch_space(space, rows)


def difference(given: Any, space: Any, path: Path = ()) -> str | None:
    """Return a sentence on the first way in which `given` does not belong to `space`, else None.

    Says more than `space.contains`: the path, and whether nesting, keys, shape, dtype or bounds
    are at fault. A NaN in a Box is not a fault.
    """
    where = name_of(path).replace("space", "value", 1)
    parts = children(space)
    if parts is None:
        return _leaf_difference(given, _leaf(space, path), where)
    if is_space(space, "Dict"):
        if not hasattr(given, "keys"):
            return f"{where} must be a dict, got {type(given).__name__}"
        expected, present = {key for key, _ in parts}, set(given.keys())
        if expected - present:
            return f"{where} lacks the keys {sorted(map(str, expected - present))}"
        if present - expected:
            return f"{where} has the extra keys {sorted(map(str, present - expected))}"
    elif not isinstance(given, (tuple, list)) or len(given) != len(parts):
        return f"{where} must be a tuple of {len(parts)}, got {_brief(given)}"
    for key, part in parts:
        found = difference(given[key], part, (*path, key))
        if found:
            return found
    return None


def _leaf_difference(given: Any, leaf: Leaf, where: str) -> str | None:
    try:
        array = np.asarray(given)
    except ValueError:
        return f"{where} must be an array, got {_brief(given)}"
    if array.shape != leaf.shape:
        return f"{where} must have shape {leaf.shape}, got {array.shape}"
    # Python's and NumPy's default integers stand for any integer; the bounds decide.
    are_whole = array.dtype.kind in "iu" and leaf.dtype.kind in "iu"
    if not (are_whole or np.can_cast(array.dtype, leaf.dtype, casting="same_kind")):
        return f"{where} must have dtype {leaf.dtype}, got {array.dtype}"
    outside = (array < leaf.low) | (array > leaf.high)
    if np.any(outside):
        worst = array[outside].ravel()[0] if array.ndim else array
        low, high = np.min(leaf.low), np.max(leaf.high)
        return f"{where} must lie within [{low}, {high}], got {worst}"
    return None


def _brief(value: Any) -> str:
    text = repr(value)
    return f"{type(value).__name__} {text[:60]}{'...' if len(text) > 60 else ''}"
