"""Flattening observations is lossless, and every leaf can be viewed in place."""

import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, Tuple
from hypothesis import given, settings
from hypothesis import strategies as st
from spaces_cases import assert_agree, nested_spaces, over_spaces, samples

from pufferlib.emulation import Layout
from pufferlib.exceptions import SpaceError
from pufferlib.spaces import value_at


def assert_round_trip(space, seed=0):
    layout = Layout.of(space)
    for sample in samples(space, 2, seed):
        row = layout.flatten(sample)
        assert layout.space.contains(row)
        assert_agree(layout.unflatten(row), sample)


def assert_fields_fit(layout):
    """Check that fields are in order, inside the row, disjoint and aligned to their dtypes."""
    end = 0
    for field in layout.fields:
        width = field.leaf.dtype.itemsize if layout.is_bytes else 1
        assert end <= field.start
        assert field.stop - field.start == field.leaf.size * width
        assert field.start % width == 0
        end = field.stop
    assert end <= layout.space.low.size
    if layout.is_bytes:  # then every row of a batch is aligned like the first
        widths = [field.leaf.dtype.itemsize for field in layout.fields]
        assert [layout.space.low.size % width for width in widths] == [0] * len(widths)


@over_spaces
def test_unflatten_undoes_flatten(space):
    assert_round_trip(space)


@given(space=nested_spaces, seed=st.integers(0, 999))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_unflatten_undoes_flatten_of_generated_spaces(space, seed):
    assert_round_trip(space, seed)


@over_spaces
def test_fields_never_overlap_and_are_aligned(space):
    assert_fields_fit(Layout.of(space))


@given(space=nested_spaces)
@settings(max_examples=100, deadline=None, derandomize=True)
def test_fields_of_generated_spaces_never_overlap_and_are_aligned(space):
    assert_fields_fit(Layout.of(space))


@over_spaces
@pytest.mark.parametrize("batch", [(3,), (2, 3)])
def test_a_batch_unflattens_to_views_of_each_row(space, batch):
    layout = Layout.of(space)
    values = samples(space, int(np.prod(batch)))
    rows = np.stack([layout.flatten(value) for value in values])
    rows = rows.reshape(*batch, *layout.space.shape)
    parts = layout.unflatten(rows)
    for field in layout.fields:
        leaf = value_at(parts, field.leaf.path)
        assert np.shares_memory(leaf, rows)
        expected = np.stack([value_at(value, field.leaf.path) for value in values])
        assert_agree(leaf, expected.reshape(*batch, *field.leaf.shape))


@over_spaces
def test_a_writer_overwrites_the_whole_previous_observation(space):
    layout = Layout.of(space)
    first, second = samples(space, 2)
    row = np.zeros(layout.space.shape, layout.space.dtype)
    write = layout.writer(row)
    write(first)
    write(second)
    assert_agree(layout.unflatten(row), second)


@pytest.mark.parametrize(
    ("space", "shape", "dtype"),
    [
        (Box(-1, 1, (2, 3), np.int16), (2, 3), np.int16),
        (Discrete(9), (1,), np.int64),
        (MultiBinary((2, 3)), (6,), np.int8),
        (Dict(a=Box(0, 1, (2, 2)), b=Box(0, 1, ())), (5,), np.float32),
        # 1 byte, 7 of padding, 8 bytes, 2 bytes, 6 of padding
        (Tuple((MultiBinary(1), Discrete(2), Box(0, 1, (1,), np.int16))), (24,), np.uint8),
    ],
    ids=["lone Box", "lone Discrete", "lone MultiBinary", "one dtype", "mixed dtypes"],
)
def test_a_row_is_as_wide_as_its_leaves_and_keeps_a_common_dtype(space, shape, dtype):
    flat = Layout.of(space).space
    assert (flat.shape, flat.dtype) == (shape, dtype)


def test_a_row_of_one_dtype_keeps_the_bounds_of_its_leaves():
    flat = Layout.of(Tuple((Discrete(5, start=-2), Box(3, 4, (2,), np.int64)))).space
    assert (flat.low.tolist(), flat.high.tolist()) == ([-2, 3, 3], [2, 4, 4])


@pytest.mark.parametrize("partner", [np.float32, np.int8])
def test_nan_infinity_and_negative_zero_are_kept(partner):
    odd = np.array([np.nan, np.inf, -np.inf, -0.0], np.float32)
    layout = Layout.of(Dict(odd=Box(-np.inf, np.inf, (4,)), other=Box(0, 1, (3,), partner)))
    value = {"odd": odd, "other": np.ones(3, partner)}
    assert_agree(layout.unflatten(layout.flatten(value)), value)


@pytest.mark.parametrize("value", [2.5, np.array(2.5), np.array(2.5, ">f8")])
def test_a_leaf_with_swapped_bytes_is_stored_in_native_byte_order(value):
    layout = Layout.of(Tuple((Box(0, 9, (), np.dtype(">f8")), Discrete(3))))
    number, _ = layout.unflatten(layout.flatten((value, 1)))
    assert (number, number.dtype) == (2.5, np.float64)


def test_a_space_without_leaves_is_refused():
    with pytest.raises(SpaceError, match="no leaves, so there is nothing to observe"):
        Layout.of(Dict(a=Tuple(())))
