"""Convert spaces of the old gym package to Gymnasium's."""

from collections import OrderedDict

import gymnasium
from gymnasium import spaces

from pufferlib.annotations import AnySpace
from pufferlib.spaces import children, is_space


def gymnasium_space(space: AnySpace) -> AnySpace:
    """Return the equal space of Gymnasium; one of Gymnasium or of an unknown class is unchanged.

    Bounds that are declared on a Sequence or Graph by attributes are kept.
    """
    if isinstance(space, gymnasium.Space):
        return space
    if is_space(space, "Dict"):
        parts: AnySpace = [(key, gymnasium_space(part)) for key, part in children(space) or []]
        return spaces.Dict(OrderedDict(parts))  # Gymnasium sorts the keys of any other dict
    if is_space(space, "Tuple"):
        return spaces.Tuple([gymnasium_space(part) for _, part in children(space) or []])
    if is_space(space, "Sequence"):
        made: AnySpace = spaces.Sequence(gymnasium_space(space.feature_space))
        return _with_bounds(made, space)
    if is_space(space, "Graph"):
        edges = None if space.edge_space is None else gymnasium_space(space.edge_space)
        return _with_bounds(spaces.Graph(gymnasium_space(space.node_space), edges), space)
    return _leaf(space)


def _leaf(space: AnySpace) -> AnySpace:
    if is_space(space, "Box"):
        return spaces.Box(space.low, space.high, space.shape, space.dtype)
    if is_space(space, "Discrete"):
        return spaces.Discrete(int(space.n), start=int(getattr(space, "start", 0)))
    if is_space(space, "MultiDiscrete"):
        return spaces.MultiDiscrete(space.nvec, dtype=space.dtype)
    if is_space(space, "MultiBinary"):
        return spaces.MultiBinary(space.n)
    if is_space(space, "Text"):
        charset = frozenset(space.character_set)
        return spaces.Text(space.max_length, min_length=space.min_length, charset=charset)
    return space


def _with_bounds(made: AnySpace, space: AnySpace) -> AnySpace:
    for name in ("max_length", "max_nodes", "max_edges"):
        if hasattr(space, name):
            setattr(made, name, getattr(space, name))
    return made
