"""The recurrence from the last step to the first, against a loop over floats."""

import pytest
import torch

from pufferlib.training.reverse_scan import doubling_scan, reverse_scan


def expected_of(terms, factors):
    """Return the recurrence along the first dimension, in float64."""
    result, later = torch.zeros_like(terms).double(), 0.0
    for t in reversed(range(len(terms))):
        later = terms[t].double() + factors[t].double() * later
        result[t] = later
    return result


@pytest.mark.parametrize("steps", [1, 2, 3, 8, 13])
def test_each_step_adds_the_next_times_its_factor(steps):
    generator = torch.Generator().manual_seed(0)
    terms, factors = torch.randn(2, steps, 3, generator=generator)
    factors[::4] = 0
    expected = expected_of(terms, factors).float()
    torch.testing.assert_close(reverse_scan(terms, factors), expected)
    torch.testing.assert_close(reverse_scan(terms.T, factors.T, dim=1), expected.T)
    torch.testing.assert_close(doubling_scan(terms, factors), expected)


def test_large_factors_before_zeros_do_not_overflow():
    terms = torch.zeros(64, 1)
    terms[3] = 1.0
    factors = torch.full((64, 1), 30.0)  # the product of all is 1e94
    assert doubling_scan(terms, factors)[:4, 0].tolist() == [27000.0, 900.0, 30.0, 1.0]
