"""Flattening actions is lossless, and the flat space is the simplest that holds them."""

import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Tuple
from hypothesis import given, settings
from hypothesis import strategies as st
from spaces_cases import assert_agree, nested_spaces, over_spaces, samples

from pufferlib.emulation import ActionLayout
from pufferlib.exceptions import SpaceError
from pufferlib.spaces import difference


def assert_round_trip(space, seed=0):
    layout = ActionLayout.of(space)
    rebuild = layout.rebuilder()
    for action in samples(space, 2, seed):
        flat = layout.flatten(action)
        assert difference(flat, layout.space) is None
        assert_agree(rebuild(flat), action)


@over_spaces
def test_rebuilding_undoes_flattening(space):
    assert_round_trip(space)


@given(space=nested_spaces, seed=st.integers(0, 999))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_rebuilding_undoes_flattening_of_generated_spaces(space, seed):
    assert_round_trip(space, seed)


@over_spaces
def test_every_flat_action_rebuilds_to_one_of_the_original_space(space):
    layout = ActionLayout.of(space)
    rebuild = layout.rebuilder()
    assert all(space.contains(rebuild(flat)) for flat in samples(layout.space, 5))


@pytest.mark.parametrize(
    ("space", "flat"),
    [
        (Discrete(5, start=-2), Discrete(5)),
        (Dict(a=Tuple((Discrete(5, start=-2),))), Discrete(5)),
        (MultiDiscrete([[3, 2], [4, 6]]), MultiDiscrete([3, 2, 4, 6])),
        (MultiBinary(3), MultiDiscrete([2, 2, 2])),
        (Tuple((Discrete(3, start=7), MultiBinary(1))), MultiDiscrete([3, 2])),
        (Box(-1, 2, (2, 1), np.float64), Box(-1, 2, (2,), np.float64)),
        (Tuple((Box(-1, 1, (1,)), Box(-1, 1, (1,), np.float64))), Box(-1, 1, (2,), np.float64)),
        (
            Tuple((Discrete(3, start=7), Box(-1, 1, (1,)))),
            Box(np.array([0, -1], np.float32), np.array([2, 1], np.float32)),
        ),
    ],
    ids=repr,
)
def test_the_flat_space_is_the_simplest_one(space, flat):
    assert ActionLayout.of(space).space == flat


def test_discrete_columns_count_from_zero():
    space = Tuple((Discrete(3, start=7), MultiDiscrete([2, 4], start=[-1, 0])))
    rebuild = ActionLayout.of(space).rebuilder()
    assert_agree(rebuild(np.array([0, 1, 3])), (7, np.array([0, 3])))


@pytest.mark.parametrize(("count", "dtype"), [(2**23, np.float32), (2**25, np.float64)])
def test_a_float_column_is_wide_enough_for_every_whole_number(count, dtype):
    layout = ActionLayout.of(Tuple((Discrete(count), Box(0, 1, (1,)))))
    assert layout.space.dtype == dtype
    for whole in (count - 1, count - 2):
        flat = layout.flatten((whole, np.zeros(1, np.float32)))
        assert layout.rebuilder()(flat)[0] == whole


def test_a_flat_action_may_be_a_list():
    space = Tuple((Discrete(3), Box(-1, 1, (2,))))
    rebuilt = ActionLayout.of(space).rebuilder()([2.0, 0.5, -0.5])
    assert_agree(rebuilt, (2, np.array([0.5, -0.5], np.float32)))


@over_spaces
def test_a_rebuilt_action_shares_no_memory_with_its_row(space):
    layout = ActionLayout.of(space)
    (flat,) = samples(layout.space, 1)
    row = np.array(flat)
    rebuilt = layout.rebuilder()(row)
    before = layout.flatten(rebuilt)
    row[...] = 0
    np.testing.assert_array_equal(layout.flatten(rebuilt), before)


def test_a_space_without_leaves_is_refused():
    with pytest.raises(SpaceError, match="no leaves, so there is no action to choose"):
        ActionLayout.of(Tuple(()))
