"""Values that vary in size are converted to fixed ones and back, without loss."""

import numpy as np
import pytest
from gymnasium.spaces import (
    Box,
    Dict,
    Discrete,
    GraphInstance,
    Text,
    Tuple,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from spaces_cases import (
    assert_agree,
    bounded_spaces,
    over_bounded_spaces,
    samples,
)

from pufferlib.bounded_spaces import BoundedGraph, BoundedSequence
from pufferlib.emulation.bounded import fixed
from pufferlib.emulation.packing import packer, unpacker
from pufferlib.exceptions import ActionError, ObservationError

# Gymnasium warns about a 0-d Box among stacked values.
pytestmark = pytest.mark.filterwarnings("ignore:.*Casting input x to numpy array")


def assert_round_trip(space, seed=0):
    structure, pack, unpack = fixed(space), packer(space), unpacker(space)
    for sample in samples(space, 3, seed):
        packed = pack(sample)
        assert structure.contains(packed)
        assert_agree(unpack(packed), sample)


def assert_all_are_valid(space, seed=0):
    unpack = unpacker(space)
    for packed in samples(fixed(space), 5, seed):
        assert space.contains(unpack(packed))


@over_bounded_spaces
def test_unpacking_undoes_packing(space):
    assert_round_trip(space)


@given(space=bounded_spaces, seed=st.integers(0, 999))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_unpacking_undoes_packing_of_generated_spaces(space, seed):
    assert_round_trip(space, seed)


@over_bounded_spaces
def test_any_fixed_value_unpacks_to_a_valid_one(space):
    assert_all_are_valid(space)


@given(space=bounded_spaces, seed=st.integers(0, 999))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_any_fixed_value_of_generated_spaces_unpacks_to_a_valid_one(space, seed):
    assert_all_are_valid(space, seed)


def test_unused_places_hold_the_value_nearest_to_zero():
    space = BoundedSequence(
        Dict(a=Box(np.int8([-1, 3]), np.int8([1, 9]), dtype=np.int8), b=Text(2)), 2
    )
    packed = packer(space)(({"a": np.int8([1, 9]), "b": "0"},))
    expected = {
        "length": np.array(1),
        "items": {"a": np.int8([[1, 9], [0, 3]]), "b": np.uint8([[1, 0], [0, 0]])},
    }
    assert_agree(packed, expected)


@over_bounded_spaces
def test_nothing_of_the_previous_value_is_left(space):
    first, second = samples(space, 2)
    pack = packer(space)
    pack(first)
    assert_agree(pack(second), packer(space)(second))


def test_a_packer_returns_the_same_arrays_each_time():
    pack = packer(Tuple((Text(3), Discrete(2))))
    assert pack(("a", 0))[0] is pack(("b", 1))[0]


def test_a_part_of_fixed_size_is_returned_unchanged():
    image = np.zeros((2, 2), np.uint8)
    space = Dict(image=Box(0, 255, (2, 2), np.uint8), name=Text(3))
    assert packer(space)({"image": image, "name": "x"})["image"] is image


def test_a_graph_packs_its_parts():
    space = BoundedGraph(Discrete(5, start=1), Box(2, 3, (1,)), 3, 2)
    graph = GraphInstance(np.array([4, 2]), np.float32([[3]]), np.int32([[1, 0]]))
    expected = {
        "num_nodes": np.array(2),
        "nodes": np.array([4, 2, 1]),
        "num_edges": np.array(1),
        "edges": np.float32([[3], [2]]),
        "edge_links": np.int32([[1, 0], [0, 0]]),
    }
    assert_agree(packer(space)(graph), expected)


@pytest.mark.parametrize(
    ("codes", "text"),
    [([0, 1, 0, 2], "ab"), ([0, 0, 2, 0], "ba"), ([0, 0, 0, 0], "aa"), ([2, 2, 2, 1], "bbba")],
    ids=["blanks inside", "one character", "all blank", "full"],
)
def test_blanks_are_dropped_and_a_short_text_is_padded(codes, text):
    assert unpacker(Text(4, min_length=2, charset="ba"))(np.uint8(codes)) == text


@pytest.mark.parametrize(
    ("num_nodes", "num_edges", "links"),
    [(2, 2, [[0, 1], [0, 0]]), (3, 1, [[2, 1]]), (2, 0, None), (0, 2, None)],
)
def test_edges_link_existing_nodes(num_nodes, num_edges, links):
    space = BoundedGraph(Discrete(5), Discrete(4), 3, 2)
    packed = {
        "num_nodes": num_nodes,
        "nodes": np.array([4, 3, 2]),
        "num_edges": num_edges,
        "edges": np.array([1, 3]),
        "edge_links": np.int32([[2, 1], [0, 2]]),
    }
    graph = unpacker(space)(packed)
    assert space.contains(graph)
    assert_agree(graph.nodes, np.array([4, 3, 2])[:num_nodes])
    if links is None:
        assert (graph.edges, graph.edge_links) == (None, None)
    else:
        assert_agree(graph.edges, np.array([1, 3])[:num_edges])
        assert_agree(graph.edge_links, np.int32(links))


def test_items_of_a_sequence_are_numbers_and_arrays_of_their_own_dtype():
    space = BoundedSequence(Tuple((Discrete(3, dtype=np.int8), Box(0, 1, (), np.float16))), 2)
    packed = {"length": 1, "items": (np.int8([2, 0]), np.float16([0.5, 0]))}
    ((number, array),) = unpacker(space)(packed)
    assert type(number) is np.int8
    assert type(array) is np.ndarray
    assert_agree((number, array), (np.int8(2), np.array(0.5, np.float16)))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (("toolong", ()), r"value\[0\] must be a text of 1 to 3 characters, got str 'toolong'"),
        (("no!", ()), r"value\[0\] has the characters \['!'\], which are not in its charset"),
        ((3, ()), r"value\[0\] must be a text of 1 to 3 characters, got int 3"),
        (("ok", (1, 1, 1)), r"value\[1\] must have at most 2 items, got 3"),
        (("ok", 1), r"value\[1\] must be a tuple of items, got int 1"),
    ],
    ids=["long text", "foreign character", "no text", "long sequence", "no sequence"],
)
def test_a_value_outside_its_space_is_reported_with_its_path(value, said):
    space = Tuple((Text(3), BoundedSequence(Discrete(2), 2)))
    with pytest.raises(ObservationError, match=said):
        packer(space)(value)
    with pytest.raises(ActionError, match=said):
        packer(space, error=ActionError)(value)


def test_a_graph_beyond_its_bounds_is_reported_with_its_path():
    space = BoundedGraph(Discrete(5), Discrete(2), 2, 1)
    nodes, links = np.zeros(2, int), np.zeros((2, 2), int)
    with pytest.raises(ObservationError, match=r"value\['nodes'\] must have at most 2 items, got"):
        packer(space)(GraphInstance(np.zeros(3, int), None, None))
    with pytest.raises(ObservationError, match=r"value\['edges'\] must have at most 1 items, got"):
        packer(space)(GraphInstance(nodes, np.zeros(2, int), links))
    with pytest.raises(ObservationError, match=r"value\['edges'\] must be None, because the space"):
        packer(BoundedGraph(Discrete(5), None, 2))(GraphInstance(nodes, nodes, links))
