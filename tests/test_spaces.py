"""Functions on spaces agree with examples by hand, or with Gymnasium."""

import sys
from types import SimpleNamespace
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import (
    Box,
    Dict,
    Discrete,
    Graph,
    GraphInstance,
    MultiBinary,
    MultiDiscrete,
    Sequence,
    Text,
    Tuple,
)
from spaces_cases import over_bounded_spaces, over_spaces, samples

from pufferlib.bounded_spaces import BoundedGraph, BoundedSequence
from pufferlib.exceptions import SpaceError
from pufferlib.spaces import (
    difference,
    is_space,
    joint_space,
    leaves,
    max_items,
    max_nodes_and_edges,
    name_of,
    stacked_length,
    value_at,
    varies,
)

NESTED = Dict(
    a=Tuple((Discrete(3, start=1), Box(-1, 1, (1, 2), np.float64))), b=MultiBinary((2, 2))
)


def test_leaves_come_depth_first_with_their_paths():
    found = [(leaf.path, leaf.kind, leaf.dtype, leaf.shape) for leaf in leaves(NESTED)]
    assert found == [
        (("a", 0), "Discrete", np.int64, ()),
        (("a", 1), "Box", np.float64, (1, 2)),
        (("b",), "MultiBinary", np.int8, (2, 2)),
    ]


@pytest.mark.parametrize(
    ("space", "low", "high"),
    [
        (Discrete(5, start=-2), -2, 2),
        (MultiDiscrete([3, 4], start=[-1, 10]), [-1, 10], [1, 13]),
        (MultiBinary(2), [0, 0], [1, 1]),
        (Box(-1, 2, (2,)), [-1, -1], [2, 2]),
    ],
    ids=repr,
)
def test_bounds_of_a_leaf_are_its_smallest_and_largest_values(space, low, high):
    (leaf,) = leaves(space)
    np.testing.assert_array_equal(leaf.low, low)
    np.testing.assert_array_equal(leaf.high, high)


@pytest.mark.parametrize(
    "part",
    [
        Text(3),
        Sequence(Discrete(2)),
        Graph(Discrete(2), None),
        gymnasium.spaces.OneOf((Discrete(2), Discrete(3))),
    ],
    ids=lambda part: type(part).__name__,
)
def test_a_space_without_fixed_size_is_refused_with_its_path(part):
    with pytest.raises(SpaceError, match=r"space\['outer'\]\[1\] is .* no fixed-size layout"):
        list(leaves(Dict(outer=Tuple((Discrete(2), part)))))


def test_a_class_in_place_of_a_space_is_refused():
    with pytest.raises(SpaceError, match="space is the class Discrete; a space must be an inst"):
        list(leaves(Discrete))


def test_the_old_gym_package_is_recognized_if_it_is_loaded(monkeypatch):
    class OldDiscrete:  # as in gym 0.21: no start, no dtype that can be chosen
        n, dtype = 3, None

    assert not is_space(OldDiscrete(), "Discrete")
    spaces = SimpleNamespace(Discrete=OldDiscrete)
    monkeypatch.setitem(sys.modules, "gym", SimpleNamespace(spaces=spaces))
    (leaf,) = leaves(OldDiscrete())
    assert (leaf.kind, leaf.dtype, leaf.low, leaf.high) == ("Discrete", np.int64, 0, 2)


def test_a_path_reads_as_indexing_and_leads_to_its_value():
    assert name_of(("a", 1)) == "space['a'][1]"
    assert value_at({"a": (0, "here")}, ("a", 1)) == "here"


@over_spaces
def test_stacked_samples_belong_to_the_joint_space(space):
    joint = joint_space(space, 3)
    rows = gymnasium.vector.utils.create_empty_array(space, 3)
    rows = gymnasium.vector.utils.concatenate(space, samples(space, 3), rows)
    assert joint.contains(rows)


@over_spaces
def test_every_sample_belongs_to_its_space(space):
    assert [difference(sample, space) for sample in samples(space, 5)] == [None] * 5


@pytest.mark.parametrize(
    ("space", "value"),
    [
        (Box(0, 1, (2,), np.float32), np.array([np.nan, 1], np.float32)),
        (Box(0, 1, (2,), np.float32), np.array([0.5, 1], np.float64)),
        (Box(0, 9, (2,), np.uint8), np.array([3, 9])),
        (Discrete(4), 3),
        (MultiDiscrete([2, 2]), [1, 0]),
    ],
    ids=["NaN", "float64 for float32", "int64 for bytes", "int", "list"],
)
def test_a_value_that_casts_without_loss_belongs(space, value):
    assert difference(value, space) is None


GOOD: dict[str, Any] = {"a": (1, np.zeros((1, 2))), "b": np.zeros((2, 2), np.int8)}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"b": np.zeros(4, np.int8)}, "value['b'] must have shape (2, 2), got (4,)"),
        ({"b": np.zeros((2, 2))}, "value['b'] must have dtype int8, got float64"),
        ({"b": [[0, 1], [1]]}, "value['b'] must be an array, got list [[0, 1], [1]]"),
        ({"b": np.full((2, 2), 2)}, "value['b'] must lie within [0, 1], got 2"),
        ({"a": (0, GOOD["a"][1])}, "value['a'][0] must lie within [1, 3], got 0"),
        ({"a": (1.0, GOOD["a"][1])}, "value['a'][0] must have dtype int64, got float64"),
        ({"a": ("1", GOOD["a"][1])}, "value['a'][0] must have dtype int64, got <U1"),
        ({"a": (1,)}, "value['a'] must be a tuple of 2, got tuple (1,)"),
        ({"a": 5}, "value['a'] must be a tuple of 2, got int 5"),
        ({"c": 1, "d": 2}, "value has the extra keys ['c', 'd']"),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_a_fault_is_reported_with_its_path(change, said):
    assert difference(GOOD | change, NESTED) == said


def test_missing_keys_and_wrong_nesting_are_reported():
    assert difference({"a": GOOD["a"]}, NESTED) == "value lacks the keys ['b']"
    assert difference(np.zeros(3), NESTED) == "value must be a dict, got ndarray"


@over_bounded_spaces
def test_every_sample_that_varies_in_size_belongs_to_its_space(space):
    assert [difference(sample, space) for sample in samples(space, 10)] == [None] * 10


def test_values_of_any_length_belong_where_no_bound_is_declared():
    assert difference((1,) * 99, Sequence(Discrete(2))) is None
    assert (
        difference(GraphInstance(np.zeros(99, int), None, None), Graph(Discrete(2), None)) is None
    )


DICTS = Dict(a=Discrete(2), b=Box(0, 1, (2,)))


@pytest.mark.parametrize(
    ("part", "given", "said"),
    [
        (Text(5), "toolong", "must be a text of 1 to 5 characters, got str 'toolong'"),
        (Text(5), "", "must be a text of 1 to 5 characters, got str ''"),
        (Text(5), 3, "must be a text of 1 to 5 characters, got int 3"),
        (Text(5), "no!?!", "has the characters ['!', '?'], which are not in its charset"),
        (BoundedSequence(Discrete(2), 3), (0,) * 5, "must have at most 3 items, got 5"),
        (BoundedSequence(Discrete(2), 3), 7, "must be a tuple of items, got int 7"),
        (BoundedSequence(Discrete(2), 3), (0, 9), "[1] must lie within [0, 1], got 9"),
        (Sequence(Tuple((Text(2),))), (("abc",),), "[0][0] must be a text of 1 to 2 characters"),
        (
            BoundedSequence(Discrete(2), 3, stacked=True),
            np.zeros(4, int),
            "must have at most 3 items, got 4",
        ),
        (Sequence(DICTS, stack=True), [], "must be a dict, got list"),
        (
            Sequence(DICTS, stack=True),
            {"a": np.array([1, 2]), "b": np.zeros((2, 2))},
            "['a'][1] must lie within [0, 1], got 2",
        ),
        (
            Sequence(DICTS, stack=True),
            {"a": np.array([1]), "b": np.zeros((2, 2))},
            "must have parts of equal length, got [1, 2] items",
        ),
        (Sequence(DICTS, stack=True), {"a": 1, "b": 2}, "['a'] must have items on its first axis"),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_a_fault_in_a_value_of_varying_size_is_reported_with_its_path(part, given, said):
    fault = difference({"name": given}, Dict(name=part))
    assert fault.startswith(f"value['name']{'' if said.startswith('[') else ' '}{said}")


NODES, EDGES = np.zeros((2, 1), np.float32), np.array([1])
LINKS = np.array([[0, 1]])


@pytest.mark.parametrize(
    ("graph", "said"),
    [
        ((NODES, EDGES, LINKS), "value must be a GraphInstance, got tuple"),
        (
            GraphInstance(NODES[[0] * 4], None, None),
            "value['nodes'] must have at most 3 items, got",
        ),
        (GraphInstance(NODES[:, 0], None, None), "value['nodes'][0] must have shape (1,), got ()"),
        (
            GraphInstance(None, None, None),
            "value['nodes'] must have items on its first axis, got N",
        ),
        (GraphInstance(NODES, EDGES, None), "value must have edges and edge_links, or None for b"),
        (GraphInstance(NODES, EDGES[[0] * 3], LINKS), "value['edges'] must have at most 2 items"),
        (GraphInstance(NODES, EDGES + 1, LINKS), "value['edges'][0] must lie within [0, 1], got 2"),
        (
            GraphInstance(NODES, EDGES, LINKS[0]),
            "value['edge_links'] must be whole numbers of shape (1, 2), got ndarray array([0, 1])",
        ),
        (
            GraphInstance(NODES, EDGES, LINKS / 2),
            "value['edge_links'] must be whole numbers of shape (1, 2), got ndarray array([[0. ",
        ),
        (
            GraphInstance(NODES, EDGES, LINKS + 1),
            "value['edge_links'] must link 2 nodes, from 0; got 2",
        ),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_a_fault_in_a_graph_is_reported_with_its_path(graph, said):
    space = BoundedGraph(Box(0, 1, (1,)), Discrete(2), 3, 2)
    assert difference(graph, space).startswith(said)


def test_edges_do_not_belong_where_there_is_no_edge_space():
    fault = difference(GraphInstance(NODES, EDGES, LINKS), Graph(Box(0, 1, (1,)), None))
    assert fault == "value['edges'] must be None, because the space has no edge_space"


def test_only_texts_sequences_graphs_and_their_containers_vary_in_size():
    assert varies(Dict(a=Tuple((Discrete(2), Text(2)))))
    assert varies(Sequence(Discrete(2)))
    assert varies(Graph(Discrete(2), None))
    assert not varies(NESTED)


def test_a_bound_is_read_from_the_space():
    sequence, graph = Sequence(Discrete(2)), Graph(Discrete(2), Discrete(2))
    assert (max_items(sequence), max_nodes_and_edges(graph)) == (None, None)
    sequence.max_length, graph.max_nodes = np.int64(4), 3
    assert (max_items(sequence), max_nodes_and_edges(graph)) == (4, (3, 6))
    graph.max_edges = 2
    assert max_nodes_and_edges(graph) == (3, 2)
    assert max_nodes_and_edges(BoundedGraph(Discrete(2), None, 3)) == (3, 0)


@pytest.mark.parametrize(
    ("name", "bound", "least"), [("max_nodes", 0, 1), ("max_edges", -1, 0), ("max_edges", "5", 0)]
)
def test_an_invalid_bound_is_refused(name, bound, least):
    graph = BoundedGraph(Discrete(2), Discrete(2), 3)
    setattr(graph, name, bound)
    said = rf"{name} of BoundedGraph.* must be a whole number of at least {least}; got {bound!r}"
    with pytest.raises(SpaceError, match=said):
        max_nodes_and_edges(graph)


def test_stacked_values_are_counted_on_their_first_axis():
    assert stacked_length({"a": np.zeros(3), "b": np.zeros((3, 2))}, DICTS) == 3
    assert stacked_length(("a", "b"), Text(2)) == 2
    assert stacked_length((), Tuple(())) == 0
