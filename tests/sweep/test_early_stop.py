import pytest

from pufferlib.sweep.early_stop import EarlyStop

# Five trials whose scores at 10 CPU seconds are 1, 2, 3, 4, 5: the lower quartile is 2.
CURVES = [[(5.0, 0.0), (10.0, score), (20.0, 10 * score)] for score in (1.0, 2.0, 3.0, 4.0, 5.0)]


def early_stop(curves=CURVES, quantile=0.25):
    made = EarlyStop(quantile)
    for curve in curves:
        made.add(curve, stopped_early=False)
    return made


@pytest.mark.parametrize(("score", "stops"), [(1.9, True), (2.1, False)])
def test_a_trial_below_the_quantile_at_equal_cost_is_stopped(score, stops):
    assert early_stop().can_hardly_win([(4.0, 0.0), (10.0, score)], 0.5) == stops


def test_it_is_compared_at_its_own_cost():
    assert not early_stop().can_hardly_win([(9.0, 0.5)], 0.5)  # the others had 0 by then
    assert early_stop().can_hardly_win([(19.0, 1.5)], 0.5)
    assert early_stop().can_hardly_win(
        [(500.0, 19.0)], 0.5
    )  # they had ended, with 20 at the quantile


def test_the_latest_evaluations_count():
    assert early_stop().can_hardly_win([(4.0, 3.0), (10.0, 0.0)], 0.5)
    fallen = [[(5.0, 9.0), *curve[1:]] for curve in CURVES]
    assert not early_stop(fallen).can_hardly_win([(10.0, 2.1)], 0.5)


@pytest.mark.parametrize(("progress", "stops"), [(0.33, False), (0.34, True)])
def test_a_trial_has_a_third_of_its_steps_to_begin_with(progress, stops):
    assert early_stop().can_hardly_win([(10.0, -100.0)], progress) == stops


def test_a_trial_that_costs_more_than_most_has_no_third_to_begin_with():
    assert early_stop().can_hardly_win([(20.1, 1.0)], 0.1)
    assert not early_stop().can_hardly_win([(20.0, 1.0)], 0.1)  # what the median costs in all
    assert not early_stop().can_hardly_win([(20.1, 21.0)], 0.1)


def test_few_trials_stop_nothing():
    assert not early_stop(CURVES[:4]).can_hardly_win([(10.0, -100.0)], 0.5)
    assert not early_stop(quantile=None).can_hardly_win([(10.0, -100.0)], 0.5)
    assert not early_stop().can_hardly_win([], 0.5)


def test_a_stopped_trial_counts_up_to_its_end_only():
    made = early_stop(CURVES[:4])
    made.add([(10.0, 1.0)], stopped_early=True)
    assert made.can_hardly_win([(10.0, 0.5)], 0.5)  # five at 10 CPU seconds
    assert not made.can_hardly_win([(11.0, 0.5)], 0.5)  # four after that
