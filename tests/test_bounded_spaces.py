"""Bounded spaces keep their bound, and otherwise equal Gymnasium's spaces."""

import copy
import itertools
import pickle

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, Graph, GraphInstance, Sequence, Text
from spaces_cases import assert_agree, over_bounded_spaces, samples

from pufferlib.bounded_spaces import BoundedGraph, BoundedSequence
from pufferlib.exceptions import ArgumentError


@over_bounded_spaces
def test_every_sample_is_in_its_space_and_depends_only_on_the_seed(space):
    first, second = samples(space, 20, seed=3), samples(space, 20, seed=3)
    for one, other in zip(first, second, strict=True):
        assert_agree(one, other)
    assert any(str(one) != str(other) for one, other in itertools.pairwise(first))


@over_bounded_spaces
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))])
def test_a_copy_is_equal_and_draws_the_same(space, copied):
    space.seed(5)
    twin = copied(space)
    assert twin == space
    assert repr(twin) == repr(space)
    assert_agree(twin.sample(), space.sample())


@pytest.mark.parametrize("stacked", [False, True])
def test_a_sequence_has_every_length_up_to_its_bound_and_no_other(stacked):
    space = BoundedSequence(Discrete(2), 3, seed=0, stacked=stacked)
    assert {len(space.sample()) for _ in range(50)} == {0, 1, 2, 3}
    kind = np.array if stacked else tuple
    assert space.contains(kind([0, 1, 1]))
    assert not space.contains(kind([0, 1, 1, 0]))
    assert not space.contains(kind([0, 7]))


def test_stacked_dicts_are_counted_by_their_items():
    space = BoundedSequence(Dict(a=Discrete(2), b=Text(2)), 2, stacked=True)
    assert space.contains({"a": np.array([0, 1]), "b": ("x", "y")})
    assert not space.contains({"a": np.array([0, 1, 0]), "b": ("x", "y", "z")})


def test_a_graph_has_every_number_of_nodes_and_edges_within_its_bounds():
    space = BoundedGraph(Discrete(2), Discrete(2), 3, 2, seed=0)
    drawn = [space.sample() for _ in range(100)]
    assert {len(graph.nodes) for graph in drawn} == {1, 2, 3}
    assert {0 if graph.edges is None else len(graph.edges) for graph in drawn} == {0, 1, 2}
    nodes, links = np.zeros(3, int), np.zeros((2, 2), np.int32)
    assert space.contains(GraphInstance(nodes, nodes[:2], links))
    assert not space.contains(GraphInstance(nodes, nodes, links[[0, 0, 0]]))
    assert not space.contains(GraphInstance(np.zeros(4, int), None, None))


def test_a_graph_may_have_an_edge_from_each_node_to_every_other():
    assert BoundedGraph(Discrete(2), Discrete(2), 4).max_edges == 12
    assert BoundedGraph(Discrete(2), None, 4).max_edges == 0


def test_a_mask_restricts_length_and_items_of_a_sequence():
    space = BoundedSequence(Discrete(3), 4, seed=0)
    only_two = np.int8([0, 0, 1])
    assert space.sample(mask=(3, only_two)) == (2, 2, 2)
    assert space.sample(probability=(2, np.array([0.0, 1, 0]))) == (1, 1)
    assert {len(space.sample(mask=(np.array([1, 4]), None))) for _ in range(20)} == {1, 4}
    assert set(itertools.chain(*(space.sample(mask=(None, only_two)) for _ in range(9)))) == {2}


def test_a_mask_restricts_nodes_and_edges_of_a_graph():
    space = BoundedGraph(Discrete(3), Discrete(3), 2, 2, seed=0)
    mask = (np.int8([0, 0, 1]),) * 2, np.int8([1, 0, 0])
    graphs = [space.sample(mask=mask, num_nodes=2) for _ in range(9)]
    assert {node for graph in graphs for node in graph.nodes} == {2}
    assert {edge for graph in graphs if graph.edges is not None for edge in graph.edges} == {0}
    graph = space.sample(mask=(None, (np.int8([0, 1, 0]),) * 2), num_nodes=2, num_edges=2)
    assert graph.edges.tolist() == [1, 1]


def test_a_seed_has_the_same_effect_as_in_gymnasium():
    sequence, graph = BoundedSequence(Discrete(2), 3), BoundedGraph(Discrete(2), Discrete(2), 3)
    assert sequence.seed(3) == Sequence(Discrete(2)).seed(3)
    assert sequence.seed((3, 4)) == (3, 4)
    assert graph.seed(3) == Graph(Discrete(2), Discrete(2)).seed(3)
    assert graph.seed((3, 4, 5)) == (3, 4, 5)


def test_equality_takes_the_bounds_into_account():
    sequence = BoundedSequence(Discrete(2), 3)
    assert sequence == BoundedSequence(Discrete(2), np.int64(3))
    assert sequence != BoundedSequence(Discrete(2), 4)
    assert sequence != BoundedSequence(Discrete(3), 3)
    assert sequence != BoundedSequence(Discrete(2), 3, stacked=True)
    assert sequence != Sequence(Discrete(2))
    assert Sequence(Discrete(2)) != sequence
    graph = BoundedGraph(Discrete(2), Discrete(2), 3)
    assert graph == BoundedGraph(Discrete(2), Discrete(2), 3, 6)
    assert graph != BoundedGraph(Discrete(2), Discrete(2), 3, 5)
    assert graph != BoundedGraph(Discrete(2), Discrete(2), 4, 6)
    assert graph != BoundedGraph(Discrete(2), None, 3)
    assert Graph(Discrete(2), Discrete(2)) != graph


def test_evaluating_a_repr_gives_an_equal_space():
    spaces = [
        BoundedSequence(Discrete(2), 3, stacked=True),
        BoundedGraph(Discrete(2), Discrete(3), 4, 5),
        BoundedGraph(Discrete(2), None, 4),
    ]
    assert [eval(repr(space)) for space in spaces] == spaces


def test_values_pass_through_json():
    sequence, graph = BoundedSequence(Discrete(5), 3), BoundedGraph(Box(0, 1, (2,)), Discrete(2), 3)
    for space in (sequence, graph):
        for value in samples(space, 5):
            (restored,) = space.from_jsonable(space.to_jsonable([value]))
            assert space.contains(restored)


def test_an_environment_may_have_bounded_spaces():
    class Greeter(gymnasium.Env):
        observation_space = BoundedSequence(Text(3), 2)
        action_space = BoundedGraph(Discrete(2), None, 2)

        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            return ("hi",), {}

        def step(self, action):
            return ("hi", "you"), 0.0, True, False, {}

    env = gymnasium.wrappers.PassiveEnvChecker(Greeter())
    env.reset(seed=0)
    assert env.step(env.action_space.sample())[0] == ("hi", "you")


@pytest.mark.parametrize("bound", [0, -1, 1.5, "3", None, True])
def test_an_invalid_bound_is_refused(bound):
    with pytest.raises(ArgumentError, match=r"max_length must be a whole number of at least 1; g"):
        BoundedSequence(Discrete(2), bound)
    with pytest.raises(ArgumentError, match=r"max_nodes must be a whole number of at least 1; got"):
        BoundedGraph(Discrete(2), Discrete(2), bound)


@pytest.mark.parametrize("bound", [-1, 1.5, "3", True])
def test_an_invalid_number_of_edges_is_refused(bound):
    with pytest.raises(ArgumentError, match=r"max_edges must be a whole number of at least 0; got"):
        BoundedGraph(Discrete(2), Discrete(2), 3, bound)


def test_other_objects_are_refused_as_spaces():
    with pytest.raises(ArgumentError, match=r"space must be a Gymnasium space; got 5\."):
        BoundedSequence(5, 3)
    with pytest.raises(ArgumentError, match=r"node_space must be a Gymnasium space; got <class"):
        BoundedGraph(Discrete, None, 3)
    with pytest.raises(ArgumentError, match=r"edge_space must be a Gymnasium space; got 'edge'"):
        BoundedGraph(Discrete(2), "edge", 3)


def test_edges_without_a_space_are_refused():
    with pytest.raises(ArgumentError, match=r"max_edges=2 needs an edge_space; got None\. Pass"):
        BoundedGraph(Discrete(2), None, 3, 2)


def test_a_sample_beyond_the_bound_is_refused():
    sequence, graph = BoundedSequence(Discrete(2), 3), BoundedGraph(Discrete(2), Discrete(2), 3, 2)
    with pytest.raises(ArgumentError, match=r"length must be at most max_length=3; got 4"):
        sequence.sample(mask=(4, None))
    with pytest.raises(ArgumentError, match=r"num_nodes must be at most max_nodes=3; got 4"):
        graph.sample(num_nodes=4)
    with pytest.raises(ArgumentError, match=r"num_edges must be at most max_edges=2; got 3"):
        graph.sample(num_edges=3)
    with pytest.raises(ArgumentError, match=r"a mask or a probability, not both"):
        sequence.sample(mask=(1, None), probability=(1, None))
