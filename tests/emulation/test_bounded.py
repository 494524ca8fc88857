"""Spaces that vary in size convert to fixed ones without loss; every fixed value is valid."""

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import (
    Box,
    Dict,
    Discrete,
    Graph,
    MultiBinary,
    MultiDiscrete,
    OneOf,
    Sequence,
    Text,
    Tuple,
)
from hypothesis import given, settings
from spaces_cases import (
    nested_spaces,
    over_spaces,
)

from pufferlib.bounded_spaces import BoundedGraph, BoundedSequence
from pufferlib.emulation.bounded import fixed
from pufferlib.emulation.packing import packer, unpacker
from pufferlib.exceptions import SpaceError

# Gymnasium warns about a 0-d Box among stacked values.
pytestmark = pytest.mark.filterwarnings("ignore:.*Casting input x to numpy array")


@over_spaces
def test_a_space_of_fixed_size_is_unchanged(space):
    assert fixed(space) is space
    assert packer(space) is None
    assert unpacker(space) is None


@given(space=nested_spaces)
@settings(max_examples=50, deadline=None, derandomize=True)
def test_generated_spaces_of_fixed_size_are_unchanged(space):
    assert fixed(space) is space


@pytest.mark.parametrize(
    ("space", "expected"),
    [
        (Text(2, charset="ba"), MultiDiscrete([3, 3], dtype=np.uint8)),
        (
            BoundedSequence(Box(np.float32([0, 1]), np.float32([2, 3])), 2),
            Dict(length=Discrete(3), items=Box(np.float32([[0, 1]] * 2), np.float32([[2, 3]] * 2))),
        ),
        (
            BoundedSequence(Discrete(5, start=-2, dtype=np.int16), 2),
            Dict(
                length=Discrete(3),
                items=MultiDiscrete([5, 5], start=[-2, -2], dtype=np.int16),
            ),
        ),
        (
            BoundedSequence(MultiDiscrete([3, 4], start=[-1, 10]), 2, stacked=True),
            Dict(
                length=Discrete(3),
                items=MultiDiscrete([[3, 4], [3, 4]], start=[[-1, 10], [-1, 10]]),
            ),
        ),
        (
            BoundedSequence(MultiBinary(3), 2),
            Dict(length=Discrete(3), items=MultiBinary((2, 3))),
        ),
        (
            BoundedSequence(Tuple((BoundedSequence(Discrete(4), 3), Text(1, charset="x"))), 2),
            Dict(
                length=Discrete(3),
                items=Tuple(
                    (
                        Dict(
                            length=MultiDiscrete([4, 4]),
                            items=MultiDiscrete([[4, 4, 4], [4, 4, 4]]),
                        ),
                        MultiDiscrete([[2], [2]], dtype=np.uint8),
                    )
                ),
            ),
        ),
        (
            BoundedGraph(Box(0, 1, (3,)), Discrete(7), 2, 3),
            Dict(
                num_nodes=Discrete(3),
                nodes=Box(0, 1, (2, 3)),
                num_edges=Discrete(4),
                edges=MultiDiscrete([7, 7, 7]),
                edge_links=MultiDiscrete([[2, 2], [2, 2], [2, 2]], dtype=np.int32),
            ),
        ),
        (
            BoundedGraph(Discrete(5), None, 2),
            Dict(num_nodes=Discrete(3), nodes=MultiDiscrete([5, 5])),
        ),
    ],
    ids=lambda space: type(space).__name__,
)
def test_a_space_is_converted_as_documented(space, expected):
    given = fixed(space)
    assert given == expected
    assert str(given) == str(expected)  # dtypes too, which equality of spaces may leave out


@pytest.mark.parametrize(("characters", "dtype"), [(254, np.uint8), (255, np.uint16)])
def test_codes_of_a_text_have_the_smallest_dtype_that_holds_their_number(characters, dtype):
    space = fixed(Text(1, charset="".join(map(chr, range(characters)))))
    assert (space.dtype, space.nvec.tolist()) == (dtype, [characters + 1])


def test_the_code_of_a_character_does_not_depend_on_the_order_of_the_charset():
    for charset in ("abc", "cab", frozenset("abc")):
        assert packer(Text(4, charset=charset))("cab").tolist() == [3, 1, 2, 0]


def test_keys_keep_their_order():
    structure = fixed(Dict([("z", Discrete(2)), ("a", Text(3)), ("m", Discrete(2))]))
    assert list(structure.spaces) == ["z", "a", "m"]


def test_a_fixed_space_shares_no_part_with_its_original():
    plain = Discrete(100, seed=0)
    first = plain.np_random.bit_generator.state
    fixed(Tuple((plain, Text(3)))).sample()
    assert plain.np_random.bit_generator.state == first


def test_bounds_may_be_declared_by_attributes():
    sequence, graph = Sequence(Discrete(3)), Graph(Discrete(3), Discrete(2))
    sequence.max_length, graph.max_nodes = 2, np.int64(3)
    assert fixed(sequence) == fixed(BoundedSequence(Discrete(3), 2))
    assert fixed(graph) == fixed(BoundedGraph(Discrete(3), Discrete(2), 3, 6))
    graph.max_edges = 1
    assert fixed(graph) == fixed(BoundedGraph(Discrete(3), Discrete(2), 3, 1))


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (Sequence(Text(2)), r" is Sequence.*no maximum length.*BoundedSequence.*max_length"),
        (Graph(Discrete(2), None), r" is Graph.*no maximum number of nodes.*BoundedGraph"),
        (
            BoundedSequence(Sequence(Discrete(2)), 3),
            r"\['items'\] is Sequence.*no maximum length",
        ),
        (
            BoundedGraph(Dict(a=Sequence(Discrete(2))), None, 3),
            r"\['nodes'\]\['a'\] is Sequence.*no maximum length",
        ),
        (BoundedSequence(OneOf((Discrete(2),)), 3), r"\['items'\] is OneOf.*no fixed-size layout"),
        (Text(3, charset=""), r" is a Text of at least 1 characters whose charset is empty"),
    ],
    ids=["sequence", "graph", "in a sequence", "in a graph", "unsupported", "empty charset"],
)
def test_an_unbounded_space_is_refused_with_its_path(part, said):
    with pytest.raises(SpaceError, match=r"space\['outer'\]\[1\]" + said):
        fixed(Dict(outer=Tuple((Discrete(2), part))))


@pytest.mark.parametrize("bound", [0, -1, True, 2.0, "2"])
def test_an_invalid_bound_is_refused(bound):
    space = Sequence(Discrete(2))
    space.max_length = bound
    with pytest.raises(SpaceError, match=r"max_length of Sequence.* whole number of at least 1"):
        fixed(space)


def test_a_text_of_no_characters_has_no_codes():
    space = Tuple((Text(0, min_length=0), Discrete(2)))
    assert fixed(space)[0].shape == (0,)
    assert unpacker(space)(packer(space)(("", 1))) == ("", 1)


def test_a_subclass_of_a_space_is_treated_like_its_base_class():
    class Named(gymnasium.spaces.Text):
        pass

    assert fixed(Named(2, charset="ab")) == MultiDiscrete([3, 3], dtype=np.uint8)
