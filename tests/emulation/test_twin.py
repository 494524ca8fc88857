"""The compiled twin and the plain one write the same bytes, and fail in the same cases."""

import os
import subprocess
import sys

import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, Tuple
from hypothesis import given, settings
from hypothesis import strategies as st
from spaces_cases import SPACES, nested_spaces, samples

from pufferlib.emulation import Layout, _plain, twin
from pufferlib.emulation.packing import packer

compiled = pytest.importorskip("pufferlib.emulation._compiled", reason="no compiler built it")
TWINS = {"plain": _plain, "compiled": compiled}
over_twins = pytest.mark.parametrize("module", TWINS.values(), ids=TWINS)


def write(module, space, value):
    """Return the row that a twin writes over a row of ones."""
    layout = Layout.of(space)
    row = np.ones(layout.space.shape, layout.space.dtype)
    plan_of(module, layout).writer(layout.views(row))(value)
    return row


def plan_of(module, layout):
    return module.Plan(layout.tree(), packer(layout.original))


def test_the_compiled_twin_is_used_if_it_was_built():
    asked_for_plain = os.environ.get("PUFFERLIB_NO_EXTENSIONS", "") not in ("", "0")
    assert twin.IS_COMPILED is not asked_for_plain


@pytest.mark.parametrize(
    ("flag", "module"), [("1", "_plain"), ("", "_compiled"), ("0", "_compiled")]
)
def test_an_environment_variable_chooses_the_twin(flag, module):
    code = "from pufferlib.emulation.twin import Plan; print(Plan.__module__)"
    environ = dict(os.environ, PUFFERLIB_NO_EXTENSIONS=flag)
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, timeout=240
    )
    assert done.stdout.strip() == f"pufferlib.emulation.{module}"


def assert_same_bytes(space, seed=0):
    (value,) = samples(space, 1, seed)
    rows = [write(module, space, value) for module in TWINS.values()]
    assert rows[0].tobytes() == rows[1].tobytes()


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_the_twins_write_the_same_bytes(space):
    assert_same_bytes(space)


@given(space=nested_spaces, seed=st.integers(0, 999))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_the_twins_write_the_same_bytes_for_generated_spaces(space, seed):
    assert_same_bytes(space, seed)


FLOATS = Dict(a=Box(-9, 9, (2, 3), np.float32), b=Discrete(9))
GRID = np.arange(6, dtype=np.float32).reshape(2, 3)


@over_twins
@pytest.mark.parametrize(
    "given_grid",
    [
        GRID.astype(np.float64),
        GRID.astype(">f4"),
        GRID.astype(np.int16),
        np.asfortranarray(GRID),
        np.repeat(GRID, 2, axis=0)[::2],
        GRID.tolist(),
        GRID.view(np.recarray),
        np.ma.array(GRID),
    ],
    ids=["float64", "swapped", "int16", "Fortran", "strided", "list", "subclass", "masked"],
)
def test_an_array_of_any_kind_is_written_as_numpy_assigns_it(module, given_grid):
    row = write(module, FLOATS, {"a": given_grid, "b": 3})
    np.testing.assert_array_equal(Layout.of(FLOATS).unflatten(row)["a"], GRID)


@over_twins
@pytest.mark.parametrize(
    "number", [7, np.int64(7), np.int8(7), np.array(7), 7.0, True + 6, np.uint8(7)]
)
def test_a_number_of_any_kind_is_written_as_numpy_assigns_it(module, number):
    row = write(module, FLOATS, {"a": GRID, "b": number})
    assert Layout.of(FLOATS).unflatten(row)["b"] == 7


@over_twins
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int16])
def test_a_single_number_takes_the_dtype_of_its_leaf(module, dtype):
    space = Tuple((Box(-9, 9, (), dtype), Box(0, 1, (3,), np.uint8)))
    row = write(module, space, (3, np.zeros(3, np.uint8)))
    assert row[: np.dtype(dtype).itemsize].tobytes() == dtype(3).tobytes()


@over_twins
@pytest.mark.parametrize(
    ("value", "error", "said"),
    [
        ({"a": GRID}, KeyError, "b"),
        ({"a": GRID[:1, :2], "b": 0}, ValueError, "broadcast"),
        ({"a": np.zeros((2, 3, 1)), "b": 0}, ValueError, "broadcast"),
        ({"a": GRID, "b": 2**70}, OverflowError, "too"),
        ({"a": GRID, "b": "x"}, ValueError, "invalid literal"),
        (3, TypeError, "subscriptable"),
    ],
    ids=["missing key", "smaller", "more axes", "too large", "no number", "no dict"],
)
def test_a_value_that_does_not_fit_is_refused(module, value, error, said):
    with pytest.raises(error, match=said):
        write(module, FLOATS, value)


@over_twins
def test_a_mapping_that_is_not_a_dict_is_read_by_its_keys(module):
    class Lazy:
        def __getitem__(self, key):
            return {"a": GRID, "b": 5}[key]

    row = write(module, FLOATS, Lazy())
    assert row.tobytes() == write(_plain, FLOATS, {"a": GRID, "b": 5}).tobytes()


@over_twins
def test_an_observation_may_be_written_again_and_again_without_leaking_references(module):
    values = {"a": GRID.copy(), "b": 3}
    layout = Layout.of(FLOATS)
    row = np.zeros(layout.space.shape, layout.space.dtype)
    writer = plan_of(module, layout).writer(layout.views(row))
    writer(values)
    before = sys.getrefcount(values["a"]), sys.getrefcount(values)
    for _ in range(100):
        writer(values)
    assert (sys.getrefcount(values["a"]), sys.getrefcount(values)) == before
