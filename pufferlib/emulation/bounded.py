"""Convert spaces of values that vary in size, up to a bound, to spaces of fixed size.

`packing` converts their values.

| space                              | fixed                                                       |
|---|---|
| Text                               | MultiDiscrete (max_length,): 0 is blank, i + 1 the i-th     |
|                                    | character, sorted                                           |
| Sequence of S, at most n items     | Dict(length=Discrete(n + 1), items=n of S)                  |
| Graph, at most n nodes and m edges | Dict(num_nodes=Discrete(n + 1), nodes=n of node_space,      |
|                                    | num_edges=Discrete(m + 1), edges=m of edge_space,           |
|                                    | edge_links=MultiDiscrete (m, 2) of n)                       |

The last three parts of a Graph exist only if it can have edges. "n of a space" is one space whose
arrays have a new first axis; a Discrete becomes a MultiDiscrete. Unused places hold a filler: 0, or
the value within the bounds that is nearest to 0.

Text always has a bound. Sequence and Graph must declare one: by the classes of
`pufferlib.bounded_spaces`, or on any other space of these kinds by the attribute `max_length`, or
`max_nodes` and `max_edges`.
"""

import copy
from collections import OrderedDict
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Tuple

from pufferlib.annotations import AnySpace, Space
from pufferlib.exceptions import SpaceError
from pufferlib.spaces import (
    Leaf,
    Path,
    children,
    is_space,
    leaves,
    max_items,
    max_nodes_and_edges,
    name_of,
    varies,
)

Axes = tuple[int, ...]


def fixed(space: AnySpace, path: Path = ()) -> AnySpace:
    """Return `space` with each Text, Sequence and Graph replaced as in the table above.

    Without any of these, `space` itself is returned; else a new space of Gymnasium's classes, with
    the keys in the same order.

    Raises:
        SpaceError: if a bound is not declared, or a part has no fixed size; names the path.
    """
    return _fixed(space, path, ()) if varies(space) else space


def _fixed(space: AnySpace, path: Path, axes: Axes) -> Space:
    """Return `space` with a fixed size; its arrays get `axes` as their first axes."""
    if is_space(space, "Text"):
        return _fixed_text(space, path, axes)
    if is_space(space, "Sequence"):
        return _fixed_sequence(space, path, axes)
    if is_space(space, "Graph"):
        return _fixed_graph(space, path, axes)
    parts = children(space)
    if parts is None:
        (leaf,) = leaves(space, path)
        if isinstance(space, gymnasium.Space) and not axes:
            return copy.deepcopy(space)
        return _fixed_leaf(leaf, axes)
    inner: dict[Any, Space] = {key: _fixed(part, (*path, key), axes) for key, part in parts}
    if is_space(space, "Dict"):
        return Dict(OrderedDict(inner))  # Gymnasium sorts the keys of any other dict
    return Tuple(list(inner.values()))


def _fixed_text(space: AnySpace, path: Path, axes: Axes) -> Space:
    count = len(space.character_set)
    if count == 0 and space.min_length > 0:
        raise SpaceError(
            f"{name_of(path)} is a Text of at least {space.min_length} characters whose charset is "
            f"empty: it has no values. Give it characters, or min_length=0."
        )
    # MultiDiscrete keeps the number of values, one above the largest, in its own dtype.
    dtype = np.min_scalar_type(count + 1)
    return MultiDiscrete(np.full((*axes, space.max_length), count + 1), dtype=dtype.type)


def _fixed_sequence(space: AnySpace, path: Path, axes: Axes) -> Space:
    count = max_items(space)
    if count is None:
        raise SpaceError(
            f"{name_of(path)} is {space!r}, which declares no maximum length. Use "
            f"pufferlib.bounded_spaces.BoundedSequence(space, max_length), or set the attribute "
            f"max_length of this one."
        )
    items = _fixed(space.feature_space, (*path, "items"), (*axes, count))
    return Dict(OrderedDict(length=_up_to(count, axes), items=items))


def _fixed_graph(space: AnySpace, path: Path, axes: Axes) -> Space:
    bounds = max_nodes_and_edges(space)
    if bounds is None:
        raise SpaceError(
            f"{name_of(path)} is {space!r}, which declares no maximum number of nodes. Use "
            f"pufferlib.bounded_spaces.BoundedGraph(node_space, edge_space, max_nodes, max_edges), "
            f"or set the attributes max_nodes and max_edges of this one."
        )
    max_nodes, max_edges = bounds
    parts = OrderedDict(
        num_nodes=_up_to(max_nodes, axes),
        nodes=_fixed(space.node_space, (*path, "nodes"), (*axes, max_nodes)),
    )
    if max_edges:
        parts["num_edges"] = _up_to(max_edges, axes)
        parts["edges"] = _fixed(space.edge_space, (*path, "edges"), (*axes, max_edges))
        links = np.full((*axes, max_edges, 2), max_nodes)
        parts["edge_links"] = MultiDiscrete(links, dtype=np.int32)  # as Gymnasium samples them
    return Dict(parts)


def _up_to(count: int, axes: Axes) -> Space:
    return MultiDiscrete(np.full(axes, count + 1)) if axes else Discrete(count + 1)


def _fixed_leaf(leaf: Leaf, axes: Axes) -> Space:
    shape, dtype = (*axes, *leaf.shape), leaf.dtype.type
    low = np.broadcast_to(leaf.low, shape).copy()
    high = np.broadcast_to(leaf.high, shape).copy()
    if leaf.kind == "Box":
        return Box(low, high, shape, dtype)
    if leaf.kind == "MultiBinary":
        return MultiBinary(shape)
    counts = high.astype(np.int64) - low + 1
    if shape == ():
        return Discrete(int(counts), start=int(low))
    return MultiDiscrete(counts, dtype=dtype, start=low)
