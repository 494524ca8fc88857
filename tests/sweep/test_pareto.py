"""The parts of `pareto`: coordinates, measurements, Gaussian process, growth of the front."""

import math

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from pufferlib.sweep.front import hypervolume
from pufferlib.sweep.gaussian_process import GaussianProcess
from pufferlib.sweep.measurements import LENGTH, MOST_POINTS, measure, search_space
from pufferlib.sweep.pareto import expected_growth
from pufferlib.sweep.unit_cube import UnitCube

SPACE = {
    LENGTH: IntDistribution(100, 10_000, log=True),
    "rate": FloatDistribution(1e-4, 1e-2, log=True),
    "share": FloatDistribution(0.0, 2.0),
    "epochs": IntDistribution(1, 5),
    "even": IntDistribution(2, 10, step=2),
    "half": FloatDistribution(0.0, 1.0, step=0.5),
    "memory": CategoricalDistribution(["none", "lstm", None]),
}
DEFAULT = {LENGTH: 1000, "rate": 1e-3, "share": 1.0, "epochs": 3, "even": 4, "half": 0.5}
DEFAULT["memory"] = "lstm"


def trial_of(values=(1.0, 1.0), state=TrialState.COMPLETE, attributes=None, **params):
    params = {**DEFAULT, **params}
    values = values if state == TrialState.COMPLETE else None
    return create_trial(
        state=state, values=values, params=params, distributions=SPACE, user_attrs=attributes
    )


def study_of(trials):
    study = optuna.create_study(directions=["maximize", "minimize"])
    study.add_trials(trials)
    return study.trials


def test_coordinates_are_even_on_the_scale_of_each_parameter():
    point = dict(zip(SPACE, UnitCube(SPACE).encode(DEFAULT), strict=True))
    assert point["rate"] == pytest.approx(0.5)
    assert point["share"] == pytest.approx(0.5)
    assert point["epochs"] == pytest.approx(0.5)  # the third of five intervals
    assert point["even"] == pytest.approx(0.3)  # the second of five
    assert point["half"] == pytest.approx(0.5)
    assert point["memory"] == pytest.approx(0.5)  # the second of three
    log_range = math.log(10_000.5) - math.log(99.5)
    assert point[LENGTH] == pytest.approx((math.log(1000) - math.log(99.5)) / log_range)


def test_every_point_of_the_cube_has_parameters_and_they_come_back():
    cube, rng = UnitCube(SPACE), np.random.default_rng(0)
    points = np.concatenate([rng.random((200, len(SPACE))), np.eye(len(SPACE)), 1 - np.eye(7)])
    for point in points:
        params = cube.decode(point)
        for name, distribution in SPACE.items():
            assert distribution._contains(distribution.to_internal_repr(params[name]))
        assert cube.decode(cube.encode(params)) == pytest.approx(params)
    seen = {(cube.decode(p)["epochs"], cube.decode(p)["memory"]) for p in points}
    assert len(seen) == 15
    snapped = cube.snap(points)
    assert np.allclose(snapped, [cube.encode(cube.decode(point)) for point in points])


def test_choices_are_at_equal_distance():
    cube = UnitCube({"memory": SPACE["memory"]})
    points = np.array([cube.encode({"memory": each}) for each in ("none", "lstm", None)])
    found = cube.features(points)
    distances = [np.linalg.norm(found[i] - found[j]) for i, j in ((0, 1), (0, 2), (1, 2))]
    assert distances == pytest.approx([1.0, 1.0, 1.0])


def test_the_gaussian_process_predicts_a_smooth_function_and_knows_where_it_does_not():
    rng = np.random.default_rng(0)
    x = rng.random((60, 3))
    x[:, 0] *= 0.7  # nothing was measured above
    noise = 0.1 * rng.standard_normal(60)
    model = GaussianProcess(x, np.sin(6 * x[:, 0]) + x[:, 1] + noise, np.ones(60))
    new = rng.random((500, 3)) * [0.7, 1, 1]
    mean, deviation = model.predict(new)
    error = mean - (np.sin(6 * new[:, 0]) + new[:, 1])
    assert np.sqrt((error**2).mean()) < 0.1
    assert 0.8 < (np.abs(error) < 1.96 * deviation).mean() <= 1.0
    _, outside = model.predict(new * [0, 1, 1] + [1.0, 0, 0])
    assert outside.mean() > 3 * deviation.mean()


def test_noise_is_fitted():
    rng = np.random.default_rng(0)
    x = np.repeat(np.linspace(0, 1, 8), 10)[:, None]
    model = GaussianProcess(x, x[:, 0] + 0.4 * rng.standard_normal(80), np.ones(80))
    mean, deviation = model.predict(np.array([[0.5]]))
    assert mean == pytest.approx(0.5, abs=0.25)
    assert 0.02 < deviation < 0.25  # of the function, not of a measurement


def test_a_mean_of_many_measurements_weighs_more():
    x = np.repeat([[0.0], [0.5], [1.0]], 2, axis=0)
    model = GaussianProcess(
        x, np.array([0, 1, 0, 1, 0, 1.0]), np.array([99, 1, 1, 99, 50, 50]) * 1.0
    )
    mean, _ = model.predict(x[::2])
    assert mean == pytest.approx([0.01, 0.99, 0.5], abs=0.1)


def test_points_that_run_leave_the_mean_and_make_it_surer():
    rng = np.random.default_rng(0)
    x = rng.random((20, 2))
    model = GaussianProcess(x, x.sum(1) + 0.1 * rng.standard_normal(20), np.ones(20))
    new = np.array([[0.9, 0.1]])
    before = model.predict(new)
    after = model.with_points(new).predict(new)
    assert after[0] == pytest.approx(before[0], rel=1e-4)
    assert after[1] < before[1]


def test_expected_growth_is_the_mean_growth_of_the_area_below_the_front():
    rng = np.random.default_rng(0)
    scores, log_costs = np.array([1.0, 2.0, 4.0]), np.array([0.0, 1.0, 3.0])
    mean = np.array([1.5, 3.0, 4.5, 0.5, 2.0])
    deviation = np.array([1.0, 0.5, 2.0, 0.3, 0.01])
    log_cost = np.array([0.5, 2.0, 3.5, -1.0, 2.5])
    found = expected_growth(mean, deviation, log_cost, scores, log_costs)
    bounds = (math.exp(-2), math.exp(3.6))  # 0.1 above the highest cost
    before = hypervolume(scores, np.exp(log_costs), 1.0, bounds)
    for index in range(5):
        drawn = mean[index] + deviation[index] * rng.standard_normal(4000)
        costs = np.exp([*log_costs, log_cost[index]])
        after = [hypervolume([*scores, each], costs, 1.0, bounds) for each in drawn]
        error = np.std(after) / math.sqrt(len(drawn))
        assert found[index] == pytest.approx(np.mean(after) - before, abs=4 * error + 1e-6)


def test_equal_settings_are_averaged_and_failures_have_the_least_score():
    trials = study_of(
        [
            trial_of((4.0, 8.0)),
            trial_of((2.0, 2.0)),
            trial_of((1.0, 1.0), rate=1e-2),
            trial_of(state=TrialState.FAIL, rate=1e-4, attributes={"cpu_s": 3.0}),
            trial_of(state=TrialState.FAIL, rate=2e-4),
            trial_of(state=TrialState.RUNNING, rate=5e-4),
        ]
    )
    data = measure(trials, UnitCube(SPACE), maximize=True)
    by_rate = np.argsort(data.points[:, 1])
    assert data.scores[by_rate] == pytest.approx([1.0, 1.0, 3.0, 1.0])
    assert data.counts[by_rate] == pytest.approx([1, 1, 2, 1])
    expected = [math.log(3), math.nan, math.log(4), 0.0]  # log(4) is the mean of log 8 and log 2
    assert data.log_costs[by_rate] == pytest.approx(expected, nan_ok=True)
    assert data.pending.shape == (1, len(SPACE))
    minimized = measure(trials, UnitCube(SPACE), maximize=False)
    assert minimized.scores.max() == -1.0


def test_points_of_a_curve_are_shorter_trials():
    curve = [[s, s / 10] for s in range(1, 11)]  # by CPU seconds; the end is at 10
    trials = study_of([trial_of((1.0, 20.0), attributes={"curve": curve})])
    cube = UnitCube(SPACE)
    data = measure(trials, cube, maximize=True)
    lengths = [cube.decode(point)[LENGTH] for point in data.points]
    # Four of the nine before the end, from first to last; 1,000 steps cost 20 s.
    assert sorted(lengths) == [100, 400, 600, 900, 1000]
    order = np.argsort(lengths)
    assert data.scores[order] == pytest.approx([0.1, 0.4, 0.6, 0.9, 1.0])
    assert np.exp(data.log_costs[order]) == pytest.approx([2, 8, 12, 18, 20])


def test_a_trial_that_was_stopped_early_counts_with_the_steps_that_it_had():
    attributes = {"stopped_early": True, "timesteps": 250}
    cube = UnitCube(SPACE)
    data = measure(study_of([trial_of(attributes=attributes)]), cube, maximize=True)
    assert cube.decode(data.points[0])[LENGTH] == 250


def test_at_most_300_points_are_used_with_the_best_and_the_latest_trials_among_them():
    rng = np.random.default_rng(0)
    curve = [[s / 10, 0.0] for s in range(1, 11)]
    trials = study_of(
        trial_of((float(rng.random()), 1.0), rate=float(rate), attributes={"curve": curve})
        for rate in np.geomspace(1e-4, 1e-2, 400)
    )
    cube = UnitCube(SPACE)
    data = measure(trials, cube, maximize=True)
    assert len(data.points) == MOST_POINTS == 300
    assert data.scores.max() == max(trial.values[0] for trial in trials)
    rates = [cube.decode(point)["rate"] for point in data.points]
    assert max(rates) == pytest.approx(1e-2)  # the latest


def test_the_search_space_is_what_all_trials_have():
    some = {name: value for name, value in DEFAULT.items() if name != "memory"}
    space = {name: SPACE[name] for name in some}
    other = create_trial(values=[1, 1], params=some, distributions=space)
    assert search_space([trial_of(), other]) == dict(sorted(space.items()))
    assert search_space([]) == {}
