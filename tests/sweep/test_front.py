"""The front and its area agree with their definitions, tried point by point."""

import math

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState, create_trial

from pufferlib.sweep.front import front, hypervolume, is_on_front, to_confirm


def study_of(values):
    study = optuna.create_study(directions=["maximize", "minimize"])
    for value in values:
        state = TrialState.FAIL if value is None else TrialState.COMPLETE
        study.add_trial(create_trial(state=state, values=value))
    return study


def dominates(a, b):
    return a[0] >= b[0] and a[1] <= b[1] and (a[0] > b[0] or a[1] < b[1])


def by_definition(points):
    """Return the points that no other dominates; of equal ones the first."""
    return [
        not any(dominates(other, point) for other in points) and point not in points[:index]
        for index, point in enumerate(points)
    ]


@pytest.mark.parametrize("seed", range(20))
def test_the_front_is_what_no_other_point_dominates(seed):
    rng = np.random.default_rng(seed)
    points = [tuple(map(int, row)) for row in rng.integers(0, 8, (30, 2))]  # with ties
    scores, costs = zip(*points, strict=True)
    assert is_on_front(scores, costs).tolist() == by_definition(points)


def test_the_front_of_a_study_leaves_out_what_has_no_finite_values():
    study = study_of([(5, 9), None, (math.inf, 1), (1, 2), (4, 2), (-math.inf, 0.1), (4, 2)])
    assert [trial.number for trial in front(study.trials)] == [4, 0]
    assert front([]) == []


def test_points_to_confirm_are_spread_over_the_logarithm_of_cost():
    study = study_of([(1, 1), (2, 9), (3, 10), (4, 11), (5, 90), (6, 100)])
    chosen = [[trial.number for trial in to_confirm(study.trials, most)] for most in (1, 2, 3, 9)]
    assert chosen == [[5], [0, 5], [0, 2, 5], [0, 1, 2, 3, 4, 5]]


def test_hypervolume_is_the_area_of_the_union_of_rectangles():
    # Scores 2 from cost e, 5 from cost e^3, up to e^4: 2 * (3 - 1) + 5 * (4 - 3) = 9.
    costs = np.exp([1.0, 3.0, 3.5, 4.5])
    bounds = (1.0, math.exp(4))
    assert hypervolume([2, 5, 3, 9], costs, 0.0, bounds) == pytest.approx(9.0)
    assert hypervolume([2, 5, 3, 9], costs, 1.0, bounds) == pytest.approx(6.0)
    assert hypervolume([2.0], [0.1], 0.0, bounds) == pytest.approx(2 * 4.0)  # counts from 1
    assert hypervolume([-1.0], [2.0], 0.0, bounds) == hypervolume([], [], 0.0, bounds) == 0.0
