"""What is asked of a space is answered by hand-made examples, or by Gymnasium itself."""

import sys
from types import SimpleNamespace
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Text, Tuple
from spaces_cases import over_spaces, samples

from pufferlib.exceptions import SpaceError
from pufferlib.spaces import difference, is_space, joint_space, leaves, name_of, value_at

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
        gymnasium.spaces.Sequence(Discrete(2)),
        gymnasium.spaces.Graph(Discrete(2), None),
        gymnasium.spaces.OneOf((Discrete(2), Discrete(3))),
    ],
    ids=lambda part: type(part).__name__,
)
def test_a_space_of_no_fixed_size_is_refused_by_its_path(part):
    with pytest.raises(SpaceError, match=r"space\['outer'\]\[1\] is .* no fixed-size layout"):
        list(leaves(Dict(outer=Tuple((Discrete(2), part)))))


def test_a_class_in_place_of_a_space_is_refused():
    with pytest.raises(SpaceError, match="space is the class Discrete; a space must be an inst"):
        list(leaves(Discrete))


def test_the_old_gym_package_is_recognised_where_it_is_loaded(monkeypatch):
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
def test_a_fault_is_told_with_its_path(change, said):
    assert difference(GOOD | change, NESTED) == said


def test_missing_keys_and_wrong_nesting_are_told():
    assert difference({"a": GOOD["a"]}, NESTED) == "value lacks the keys ['b']"
    assert difference(np.zeros(3), NESTED) == "value must be a dict, got ndarray"
