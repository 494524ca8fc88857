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

from pufferlib.bounded_spaces import BoundedSequence
from pufferlib.emulation import Layout, _plain, twin
from pufferlib.emulation.packing import packer
from pufferlib.exceptions import ObservationError

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
    return module.Plan(layout.tree(), layout.difference, packer(layout.original))


def test_the_compiled_twin_is_used_if_it_was_built():
    asked_for_plain = os.environ.get("PUFFERLIB_NO_EXTENSIONS", "") not in ("", "0")
    assert twin.IS_COMPILED is not asked_for_plain


@pytest.mark.parametrize(
    ("flag", "module"), [("1", "_plain"), ("", "_compiled"), ("0", "_compiled")]
)
def test_an_environment_variable_chooses_the_twin(flag, module):
    code = "from pufferlib.emulation.twin import StepRow; print(StepRow.__module__)"
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
    "number", [7, np.int64(7), np.int8(7), np.array(7), np.uint8(7), np.array(7, np.uint8)]
)
def test_a_whole_number_of_any_kind_is_written_as_numpy_assigns_it(module, number):
    row = write(module, FLOATS, {"a": GRID, "b": number})
    assert Layout.of(FLOATS).unflatten(row)["b"] == 7


@over_twins
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int16])
def test_a_single_number_takes_the_dtype_of_its_leaf(module, dtype):
    space = Tuple((Box(-9, 9, (), dtype), Box(0, 1, (3,), np.uint8)))
    row = write(module, space, (3, np.zeros(3, np.uint8)))
    assert row[: np.dtype(dtype).itemsize].tobytes() == dtype(3).tobytes()


def boxes(dtype, *shape):
    """Return a space of a Box and a Discrete; in most of them the row holds bytes."""
    return Dict(a=Box(0, 255, shape, dtype), b=Discrete(9))


# A leaf and a value that fits it.
FITTING = {
    "float64 in float32": (boxes(np.float32, 2), np.array([0.1, 0.2])),
    "float32 in float64": (boxes(np.float64, 2), np.array([0.1, 0.2], np.float32)),
    "longdouble in float16": (boxes(np.float16, 2), np.array([1, 2], np.longdouble)),
    "int64 in float32": (boxes(np.float32, 2), np.array([1, 2])),
    "bool in float32": (boxes(np.float32, 2), np.array([True, False])),
    "bool in uint8": (boxes(np.uint8, 2), np.array([True, False])),
    "int64 in uint8": (boxes(np.uint8, 2), np.array([0, 255])),
    "int8 in uint16": (boxes(np.uint16, 2), np.array([0, 127], np.int8)),
    "list in uint8": (boxes(np.uint8, 2), [0, 255]),
    "no elements": (boxes(np.uint8, 0), np.zeros(0, np.int64)),
    "int in uint8": (boxes(np.uint8), 255),
    "int64 number in uint8": (boxes(np.uint8), np.int64(255)),
    "float in float32": (boxes(np.float32), 0.1),
    "float64 number in float32": (boxes(np.float32), np.float64(0.1)),
    "float32 number in float64": (boxes(np.float64), np.float32(0.1)),
    "int in float16": (boxes(np.float16), 3),
    "bool in bool": (Dict(a=Box(0, 1, (), np.bool_), b=Discrete(9)), True),
}


@over_twins
@pytest.mark.parametrize(("space", "value"), FITTING.values(), ids=FITTING)
def test_a_value_that_fits_is_written_as_numpy_assigns_it(module, space, value):
    row = write(module, space, {"a": value, "b": 3})
    expected = np.empty(space["a"].shape, space["a"].dtype)
    expected[...] = value
    assert Layout.of(space).unflatten(row)["a"].tobytes() == expected.tobytes()


# A leaf, a value that does not fit it, and what the error says.
MISFITS = {
    "one for four": (boxes(np.float32, 4), np.ones(1, np.float32), r"shape \(4,\), got \(1,\)"),
    "number for four": (boxes(np.float32, 4), 1.0, r"shape \(4,\), got \(\)"),
    "one for a number": (boxes(np.float32), np.ones(1, np.float32), r"shape \(\), got \(1,\)"),
    "more axes": (boxes(np.float32, 4), np.ones((1, 4), np.float32), r"got \(1, 4\)"),
    "float in uint8": (boxes(np.uint8, 1), np.array([0.7]), "dtype uint8, got float64"),
    "whole floats in uint8": (boxes(np.uint8, 1), np.ones(1, np.float32), "got float32"),
    "list of floats in uint8": (boxes(np.uint8, 1), [0.7], "dtype uint8, got float64"),
    "float number in uint8": (boxes(np.uint8), 0.7, "dtype uint8, got float64"),
    "float32 number in int64": (boxes(np.int64), np.float32(2), "dtype int64, got float32"),
    "300 in uint8": (boxes(np.uint8, 1), np.array([300]), r"within \[0, 255\], got 300"),
    "int 300 in uint8": (boxes(np.uint8), 300, r"within \[0, 255\], got 300"),
    "int16 300 in uint8": (boxes(np.uint8), np.int16(300), r"within \[0, 255\], got 300"),
    "-1 in uint8": (boxes(np.uint8, 1), np.array([-1], np.int8), r"within \[0, 255\], got -1"),
    "int in bool": (Dict(a=Box(0, 1, (), np.bool_), b=Discrete(9)), 2, "dtype bool, got int64"),
    "None in float32": (boxes(np.float32), None, "dtype float32, got object"),
    "None for four": (boxes(np.float32, 4), None, r"shape \(4,\), got \(\)"),
    "text in float32": (boxes(np.float32), "1.5", "dtype float32, got <U3"),
    "text in int64": (boxes(np.int64), "x", "dtype int64, got <U1"),
    "complex in float32": (boxes(np.float32, 1), np.ones(1, complex), "got complex128"),
    "objects in float32": (boxes(np.float32, 1), np.array([1.5], object), "got object"),
    "ragged": (boxes(np.float32, 2), [[1.0], [1.0, 2.0]], "be an array, got list"),
    "too large": (boxes(np.int64), 2**70, "got object"),
}


@over_twins
@pytest.mark.parametrize(("space", "value", "said"), MISFITS.values(), ids=MISFITS)
def test_a_value_that_does_not_fit_is_refused_with_its_path(module, space, value, said):
    with pytest.raises(ObservationError, match=rf"value\['a'\] must .*{said}"):
        write(module, space, {"a": value, "b": 3})


@over_twins
@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"a": GRID}, r"value lacks the keys \['b'\]"),
        (3, "value must be a dict, got int"),
        (None, "value must be a dict, got NoneType"),
    ],
    ids=["missing key", "number", "None"],
)
def test_another_structure_is_refused(module, value, said):
    with pytest.raises(ObservationError, match=said):
        write(module, FLOATS, value)


@over_twins
def test_an_error_of_the_observation_itself_is_raised_as_it_is(module):
    class Broken(dict):
        """Fails once, and then compares as a value of its space."""

        def __getitem__(self, key):
            if not hasattr(self, "has_failed"):
                self.has_failed = True
                raise KeyError("moved")
            return super().__getitem__(key)

    with pytest.raises(KeyError, match="moved"):
        write(module, FLOATS, Broken(a=GRID, b=3))


@over_twins
@pytest.mark.parametrize("stacked", [False, True])
def test_items_that_vary_in_number_are_not_cast_or_broadcast_either(module, stacked):
    space = BoundedSequence(Box(0, 255, (2,), np.uint8), max_length=3, stacked=stacked)
    given = np.full((2, 2), 7, np.uint8)
    items = (lambda array: array) if stacked else tuple
    written = Layout.of(space).unflatten(write(module, space, items(given)))
    assert written["items"].tolist() == [[7, 7], [7, 7], [0, 0]]
    for wrong in (given + 0.7, given.astype(int) + 300, given[:, :1]):
        with pytest.raises(ObservationError, match="value"):
            write(module, space, items(wrong))


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


@pytest.mark.parametrize(("module", "longest"), [(_plain, 16), (compiled, 1)], ids=TWINS)
def test_a_misfit_late_in_a_run_is_found_within_sixteen_observations(module, longest):
    layout = Layout.of(Box(0, 255, (4,), np.uint8))
    row = np.zeros(4, np.uint8)
    writer = plan_of(module, layout).writer(layout.views(row))
    for _ in range(1000):
        writer(np.ones(4, np.uint8))

    def write_wrong():
        for _ in range(longest):
            writer(np.full(4, 0.7))

    with pytest.raises(ObservationError, match="must have dtype uint8, got float64"):
        write_wrong()
