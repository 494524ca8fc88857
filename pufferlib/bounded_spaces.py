"""Gymnasium's Sequence and Graph with a declared bound, so that emulation can flatten them.

Text needs no such class: it always has a maximum length.
"""

from typing import Any

import gymnasium
import numpy as np

from pufferlib.annotations import Space, Structure
from pufferlib.arguments import whole_number
from pufferlib.exceptions import ArgumentError
from pufferlib.spaces import stacked_length


class BoundedSequence(gymnasium.spaces.Sequence):
    """A Sequence of 0 to `max_length` items; `sample` draws all lengths with equal probability.

    >>> space = BoundedSequence(gymnasium.spaces.Discrete(3), max_length=2)
    >>> space.contains((0, 1)), space.contains((0, 1, 2))
    (True, False)

    Args:
        space: the space of each item.
        max_length: the maximum number of items.
        seed: the same as in Gymnasium.
        stacked: a value holds the items stacked on a new first axis, not in a tuple.

    Raises:
        ArgumentError: if `space` is not a Gymnasium space, or `max_length` not a whole number above
            0.
    """

    def __init__(
        self,
        space: Space,
        max_length: int,
        *,
        seed: int | np.random.Generator | None = None,
        stacked: bool = False,
    ) -> None:
        _check_space("space", space)
        self.max_length = whole_number("max_length", max_length)
        super().__init__(space, seed=seed, stack=stacked)

    def sample(self, mask: Any = None, probability: Any = None) -> Structure:
        """Return a random value.

        Args:
            mask: (length or array of lengths to draw from or None, mask of each item or None).
            probability: the same, with the probabilities of each item.

        Raises:
            ArgumentError: if a length is above `max_length`, or both arguments are given.
        """
        if mask is not None and probability is not None:
            raise ArgumentError("sample takes a mask or a probability, not both. Leave one out.")
        length, of_item = mask or probability or (None, None)
        if length is None:
            length = self.np_random.integers(self.max_length + 1)
        length = int(self.generate_sample_length(length, "mask" if mask else "probability"))
        _check_bound("length", length, "max_length", self.max_length)
        if length == 0 and self.stack:  # Gymnasium cannot stack zero items
            return gymnasium.vector.utils.create_empty_array(self.feature_space, 0)
        return super().sample(
            mask=None if probability else (length, of_item),
            probability=(length, of_item) if probability else None,
        )

    def contains(self, x: Structure) -> bool:
        """Return whether `x` is a valid value."""
        if not super().contains(x):
            return False
        length = stacked_length(x, self.feature_space) if self.stack else len(x)
        return length <= self.max_length

    def __repr__(self) -> str:
        return (
            f"BoundedSequence({self.feature_space}, max_length={self.max_length}, "
            f"stacked={self.stack})"
        )

    def __eq__(self, other: object, /) -> bool:
        return (
            isinstance(other, BoundedSequence)
            and super().__eq__(other)
            and self.max_length == other.max_length
        )


class BoundedGraph(gymnasium.spaces.Graph):
    """A Graph of at most `max_nodes` nodes and `max_edges` edges.

    >>> space = BoundedGraph(gymnasium.spaces.Discrete(5), None, max_nodes=2)
    >>> [len(space.sample(num_nodes=count).nodes) for count in (1, 2)]
    [1, 2]

    Args:
        node_space: the space of each node.
        edge_space: the space of each edge; None for graphs without edges.
        max_nodes: the maximum number of nodes.
        max_edges: the maximum number of edges; by default n * (n - 1), an edge from each node to
            every other.
        seed: the same as in Gymnasium.

    Raises:
        ArgumentError: if a space is not a Gymnasium space, a bound is not a whole number (above 0
            for nodes), or there are edges without an `edge_space`.
    """

    def __init__(
        self,
        node_space: Space,
        edge_space: Space | None,
        max_nodes: int,
        max_edges: int | None = None,
        seed: int | np.random.Generator | None = None,
    ) -> None:
        _check_space("node_space", node_space)
        if edge_space is not None:
            _check_space("edge_space", edge_space)
        self.max_nodes = whole_number("max_nodes", max_nodes)
        if max_edges is None:
            max_edges = 0 if edge_space is None else self.max_nodes * (self.max_nodes - 1)
        self.max_edges = whole_number("max_edges", max_edges, least=0)
        if self.max_edges and edge_space is None:
            raise ArgumentError(
                f"max_edges={self.max_edges} needs an edge_space; got None. Pass the space of an "
                f"edge, such as Discrete(1) for edges without features, or leave out max_edges."
            )
        super().__init__(node_space, edge_space, seed=seed)

    def sample(
        self,
        mask: Any = None,
        probability: Any = None,
        num_nodes: int | None = None,
        num_edges: int | None = None,
    ) -> gymnasium.spaces.GraphInstance:
        """Return a random graph.

        Args:
            mask: (mask of the stacked nodes or None, mask of each edge or None); if `num_edges` is
                given, the second is a mask of the stacked edges.
            probability: the same, with probabilities.
            num_nodes: number of nodes; None draws from 1 to `max_nodes`.
            num_edges: number of edges; None draws from 0 to the most that the nodes and `max_edges`
                allow.

        Raises:
            ArgumentError: if there are more nodes or edges than the bounds allow.
        """
        if num_nodes is None:
            num_nodes = int(self.np_random.integers(1, self.max_nodes + 1))
        _check_bound("num_nodes", num_nodes, "max_nodes", self.max_nodes)
        if num_edges is None and self.edge_space is not None:
            most = min(self.max_edges, num_nodes * (num_nodes - 1))
            num_edges = int(self.np_random.integers(most + 1))
            mask = _with_edges(mask, num_edges)
            probability = _with_edges(probability, num_edges)
        if num_edges is not None:
            _check_bound("num_edges", num_edges, "max_edges", self.max_edges)
        return super().sample(mask, probability, num_nodes, num_edges)

    def contains(self, x: Structure) -> bool:
        """Return whether `x` is a valid graph."""
        if not super().contains(x) or stacked_length(x.nodes, self.node_space) > self.max_nodes:
            return False
        return x.edges is None or stacked_length(x.edges, self.edge_space) <= self.max_edges

    def __repr__(self) -> str:
        return (
            f"BoundedGraph({self.node_space}, {self.edge_space}, max_nodes={self.max_nodes}, "
            f"max_edges={self.max_edges})"
        )

    def __eq__(self, other: object, /) -> bool:
        return (
            isinstance(other, BoundedGraph)
            and super().__eq__(other)
            and (self.max_nodes, self.max_edges) == (other.max_nodes, other.max_edges)
        )


def _with_edges(mask: Structure, num_edges: int) -> Structure:
    """Return a mask whose part for each edge is repeated for `num_edges`."""
    if mask is None or mask[1] is None:
        return mask
    return (mask[0], (mask[1],) * num_edges)


def _check_space(name: str, given: object) -> None:
    if not isinstance(given, gymnasium.Space):
        raise ArgumentError(
            f"{name} must be a Gymnasium space; got {given!r}. A Sequence or Graph of another "
            f"package declares its bound as an attribute: max_length, or max_nodes and max_edges."
        )


def _check_bound(name: str, given: int, bound: str, most: int) -> None:
    if given > most:
        raise ArgumentError(f"{name} must be at most {bound}={most}; got {given}.")
