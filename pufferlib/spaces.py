"""Functions on spaces: their leaves, their bounds, and how a value differs from a space.

They support the classes of Gymnasium and of the old `gym` package. `gym` is never imported; its
classes are recognized if the environment has loaded them.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import gymnasium
import numpy as np

from pufferlib.annotations import AnySpace, Array, Space, Structure
from pufferlib.arguments import as_whole, brief
from pufferlib.exceptions import SpaceError
from pufferlib.published_names import names_of

__getattr__, __dir__ = names_of(__name__)
Path = tuple[str | int, ...]
LeafKind = Literal["Box", "Discrete", "MultiDiscrete", "MultiBinary"]
LEAF_KINDS: tuple[LeafKind, ...] = ("Box", "Discrete", "MultiDiscrete", "MultiBinary")


@dataclass(frozen=True)
class Leaf:
    """One array at the bottom of a space.

    Attributes:
        path: the keys and indices that lead to it; () if the space itself is a leaf.
        kind: the name of its class.
        dtype: dtype of its values, in native byte order.
        shape: shape of its values; () for Discrete.
        low: smallest allowed values, of `shape`.
        high: largest allowed values, of `shape`, inclusive.
    """

    path: Path
    kind: LeafKind
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    low: Array
    high: Array

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    @property
    def filler(self) -> Array:
        """An array that represents a missing value: the value within the bounds nearest to 0."""
        zeros = np.zeros(self.shape, self.dtype)
        return np.array(np.minimum(np.maximum(zeros, self.low), self.high), self.dtype)

    @property
    def is_continuous(self) -> bool:
        return self.kind == "Box"


def is_space(space: AnySpace, kind: str) -> bool:
    """Return whether `space` is an instance of the class `kind` of gymnasium or gym."""
    gym = sys.modules.get("gym")
    classes = [getattr(gymnasium.spaces, kind)]
    if gym is not None and hasattr(gym, "spaces") and hasattr(gym.spaces, kind):
        classes.append(getattr(gym.spaces, kind))
    return isinstance(space, tuple(classes))


def children(space: AnySpace) -> list[tuple[str | int, AnySpace]] | None:
    """Return the (key, subspace) pairs of a Dict or Tuple in the space's order, else None."""
    if is_space(space, "Dict"):
        return list(space.spaces.items())
    if is_space(space, "Tuple"):
        return list(enumerate(space.spaces))
    return None


def leaves(space: AnySpace, path: Path = ()) -> Iterator[Leaf]:
    """Yield the leaves of `space`, depth first, in the space's order.

    Raises:
        SpaceError: if a leaf has no fixed size; names the path to it.
    """
    parts = children(space)
    if parts is not None:
        for key, part in parts:
            yield from leaves(part, (*path, key))
        return
    yield _leaf(space, path)


def _leaf(space: AnySpace, path: Path) -> Leaf:
    if is_space(space, "Box"):
        dtype = np.dtype(space.dtype.type)  # in native byte order
        return Leaf(path, "Box", dtype, space.shape, space.low, space.high)
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
    if varies(space):
        raise SpaceError(
            f"{name_of(path)} is {space!r}, whose values vary in size, so it has no fixed-size "
            f"layout. pufferlib.emulation.bounded.fixed converts it to a space that has one."
        )
    raise SpaceError(
        f"{name_of(path)} is {space!r}, which has no fixed-size layout. Supported are Dict, Tuple, "
        f"{', '.join(LEAF_KINDS)}, Text, and Sequence and Graph with a declared bound, in any "
        f"nesting. Wrap the environment so that this part is one of those, or is left out."
    )


def varies(space: AnySpace) -> bool:
    """Return whether values of `space` vary in size: it is or has a Text, Sequence or Graph."""
    parts = children(space)
    if parts is not None:
        return any(varies(part) for _, part in parts)
    return any(is_space(space, kind) for kind in ("Text", "Sequence", "Graph"))


def max_items(space: AnySpace) -> int | None:
    """Return the maximum length of a Sequence, its attribute `max_length`; None if not declared.

    Raises:
        SpaceError: if the attribute is not a whole number of at least 1.
    """
    return _declared(space, "max_length", least=1)


def max_nodes_and_edges(space: AnySpace) -> tuple[int, int] | None:
    """Return the maximum number of nodes and edges of a Graph; None without `max_nodes`.

    Without `max_edges`, each node may have an edge to every other: n * (n - 1).

    Raises:
        SpaceError: if `max_nodes` is not a whole number of at least 1, or `max_edges` of at least
            0.
    """
    nodes = _declared(space, "max_nodes", least=1)
    edges = _declared(space, "max_edges", least=0)
    if nodes is None:
        return None
    if space.edge_space is None:
        return nodes, 0
    return nodes, nodes * (nodes - 1) if edges is None else edges


def _declared(space: AnySpace, name: str, least: int) -> int | None:
    bound = getattr(space, name, None)
    if bound is None:
        return None
    whole = as_whole(bound)
    if whole is None or whole < least:
        raise SpaceError(
            f"{name} of {space!r} must be a whole number of at least {least}; got {bound!r}."
        )
    return whole


def stacked_length(stacked: Structure, space: AnySpace) -> int:
    """Return the number of stacked values of `space`: the first axis of arrays, in its nesting.

    A stacked Sequence's items, and a Graph's nodes and edges, are stored in this way.
    """
    parts = children(space)
    if parts is None:
        return len(stacked)
    return max((stacked_length(stacked[key], part) for key, part in parts), default=0)


def name_of(path: Path) -> str:
    """Return the expression that indexes the leaf: `space['stats'][0]`."""
    return "space" + "".join(f"[{key!r}]" for key in path)


def value_at(value: Structure, path: Path) -> Structure:
    """Follow `path` into a nested observation or action."""
    for key in path:
        value = value[key]
    return value


def joint_space(space: Space, rows: int) -> Space:
    """Return the space of `rows` values of `space` stacked on a new first axis."""
    return gymnasium.vector.utils.batch_space(space, rows)


def difference(given: Structure, space: AnySpace, path: Path = ()) -> str | None:
    """Return a sentence on the first reason why `given` is not in `space`; None if it is.

    In contrast to `space.contains` it names the path, and whether nesting, keys, number of items,
    shape, dtype or bounds are wrong. NaN in a Box is accepted.
    """
    where = _value_name(path)
    parts = children(space)
    if parts is not None:
        fault = _nesting_difference(given, space, parts, where)
        return fault or _first(difference(given[key], part, (*path, key)) for key, part in parts)
    if is_space(space, "Text"):
        return _text_difference(given, space, where)
    if is_space(space, "Sequence"):
        return _sequence_difference(given, space, path)
    if is_space(space, "Graph"):
        return _graph_difference(given, space, path)
    return _leaf_difference(given, _leaf(space, path), where)


def _nesting_difference(
    given: Structure, space: AnySpace, parts: list[tuple[str | int, AnySpace]], where: str
) -> str | None:
    if is_space(space, "Dict"):
        if not hasattr(given, "keys"):
            return f"{where} must be a dict, got {type(given).__name__}"
        expected, present = {key for key, _ in parts}, set(given.keys())
        if expected - present:
            return f"{where} lacks the keys {sorted(map(str, expected - present))}"
        if present - expected:
            return f"{where} has the extra keys {sorted(map(str, present - expected))}"
    elif not isinstance(given, (tuple, list)) or len(given) != len(parts):
        return f"{where} must be a tuple of {len(parts)}, got {brief(given)}"
    return None


def _text_difference(given: Structure, space: AnySpace, where: str) -> str | None:
    least, most = space.min_length, space.max_length
    if not isinstance(given, str) or not least <= len(given) <= most:
        return f"{where} must be a text of {least} to {most} characters, got {brief(given)}"
    foreign = sorted(set(given) - space.character_set)
    if foreign:
        return f"{where} has the characters {foreign}, which are not in its charset"
    return None


def _sequence_difference(given: Structure, space: AnySpace, path: Path) -> str | None:
    if getattr(space, "stack", False):
        return _stack_difference(given, space.feature_space, path, max_items(space))
    where = _value_name(path)
    if not isinstance(given, (tuple, list)):
        return f"{where} must be a tuple of items, got {brief(given)}"
    return _excess(len(given), max_items(space), where) or _first(
        difference(item, space.feature_space, (*path, i)) for i, item in enumerate(given)
    )


def _graph_difference(given: Structure, space: AnySpace, path: Path) -> str | None:
    where = _value_name(path)
    if not all(hasattr(given, part) for part in ("nodes", "edges", "edge_links")):
        return f"{where} must be a GraphInstance, got {brief(given)}"
    max_nodes, max_edges = max_nodes_and_edges(space) or (None, None)
    fault = _stack_difference(given.nodes, space.node_space, (*path, "nodes"), max_nodes)
    if fault or (given.edges is None and given.edge_links is None):
        return fault
    if given.edges is None or given.edge_links is None:
        return f"{where} must have edges and edge_links, or None for both"
    if space.edge_space is None:
        return f"{where}['edges'] must be None, because the space has no edge_space"
    fault = _stack_difference(given.edges, space.edge_space, (*path, "edges"), max_edges)
    if fault:
        return fault
    links, expected = given.edge_links, (stacked_length(given.edges, space.edge_space), 2)
    if not isinstance(links, np.ndarray) or links.shape != expected or links.dtype.kind not in "iu":
        return (
            f"{where}['edge_links'] must be whole numbers of shape {expected}, got {brief(links)}"
        )
    num_nodes = stacked_length(given.nodes, space.node_space)
    outside = links[(links < 0) | (links >= num_nodes)]
    if outside.size:
        return f"{where}['edge_links'] must link {num_nodes} nodes, from 0; got {outside[0]}"
    return None


def _stack_difference(
    given: Structure, space: AnySpace, path: Path, most: int | None
) -> str | None:
    """Return the `difference` of stacked values of `space`, checked one by one."""
    lengths: set[int] = set()
    fault = _column_difference(given, space, path, lengths)
    if fault:
        return fault
    if len(lengths) > 1:
        return f"{_value_name(path)} must have parts of equal length, got {sorted(lengths)} items"
    return _excess(max(lengths, default=0), most, _value_name(path))


def _column_difference(
    given: Structure, space: AnySpace, path: Path, lengths: set[int]
) -> str | None:
    where = _value_name(path)
    parts = children(space)
    if parts is not None:
        return _nesting_difference(given, space, parts, where) or _first(
            _column_difference(given[key], part, (*path, key), lengths) for key, part in parts
        )
    try:
        items = list(given)
    except TypeError:
        return f"{where} must have items on its first axis, got {brief(given)}"
    lengths.add(len(items))
    return _first(difference(item, space, (*path, i)) for i, item in enumerate(items))


def _excess(count: int, most: int | None, where: str) -> str | None:
    if most is not None and count > most:
        return f"{where} must have at most {most} items, got {count}"
    return None


def _first(faults: Iterator[str | None]) -> str | None:
    return next(filter(None, faults), None)


def _value_name(path: Path) -> str:
    return name_of(path).replace("space", "value", 1)


def _leaf_difference(given: Structure, leaf: Leaf, where: str) -> str | None:
    try:
        array = np.asarray(given)
    except ValueError:
        return f"{where} must be an array, got {brief(given)}"
    if array.shape != leaf.shape:
        return f"{where} must have shape {leaf.shape}, got {array.shape}"
    # Any integer dtype is accepted for another, such as Python's int; the bounds decide.
    are_whole = array.dtype.kind in "iu" and leaf.dtype.kind in "iu"
    if not (are_whole or np.can_cast(array.dtype, leaf.dtype, casting="same_kind")):
        return f"{where} must have dtype {leaf.dtype}, got {array.dtype}"
    outside = (array < leaf.low) | (array > leaf.high)
    if np.any(outside):
        worst = array[outside].ravel()[0] if array.ndim else array
        low, high = np.min(leaf.low), np.max(leaf.high)
        return f"{where} must lie within [{low}, {high}], got {worst}"
    return None
