"""Numbers of any numeric type are accepted, and nothing else is."""

import math

import numpy as np
import pytest

from pufferlib.arguments import as_whole, brief, finite_number, whole_number
from pufferlib.exceptions import ArgumentError


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3), np.array(3)])
def test_every_integer_becomes_an_int(value):
    assert type(whole_number("count", value)) is int
    assert whole_number("count", value, least=3, most=3) == 3


@pytest.mark.parametrize("value", [True, False, 2.0, 2.5, "2", None, [2], np.float32(2), 0, -1])
def test_other_values_are_refused(value):
    assert as_whole(value) is None or as_whole(value) < 1
    with pytest.raises(ArgumentError) as caught:
        whole_number("count", value)
    assert str(caught.value) == f"count must be a whole number of at least 1; got {value!r}."


@pytest.mark.parametrize("value", [-1, 4])
def test_the_error_for_a_number_out_of_range_names_both_ends(value):
    with pytest.raises(ArgumentError, match=f"^count must be .* from 0 to 3; got {value}\\.$"):
        whole_number("count", value, least=0, most=3)


@pytest.mark.parametrize("value", [3, 2.5, np.float32(2.5), np.int64(3), -1])
def test_every_real_number_becomes_a_float(value):
    assert type(finite_number("rate", value)) is float
    assert finite_number("rate", value) == value


@pytest.mark.parametrize("value", [True, "2", None, math.nan, math.inf, 1j, np.bool_(True), -0.1])
def test_only_finite_numbers_from_the_least_are_accepted(value):
    with pytest.raises(ArgumentError) as caught:
        finite_number("rate", value, least=0)
    assert str(caught.value) == f"rate must be a finite number of at least 0; got {value!r}."


@pytest.mark.parametrize(
    ("value", "said"),
    [(1.5, "float 1.5"), ("abcdef", "str 'abc..."), (10**5000, "int"), (None, "NoneType None")],
    ids=["float", "text", "huge", "None"],
)
def test_a_value_is_named_by_its_class_and_the_start_of_its_repr(value, said):
    assert brief(value, length=4) == said
