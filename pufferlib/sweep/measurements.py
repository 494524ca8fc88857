"""What a Gaussian process learns from: trials, points of their curves, and failures."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from pufferlib.sweep.front import finished, layers
from pufferlib.sweep.unit_cube import Floats, UnitCube

LENGTH = "train.total_timesteps"
MOST_POINTS = 300
_MOST_TRIALS = 200
_CURVE_POINTS = 4  # besides the end


@dataclass(frozen=True)
class Measurements:
    """Points of the unit cube with what was measured there; equal points are one, their mean.

    Attributes:
        points: float64 (N, P).
        scores: float64 (N,).
        log_costs: float64 (N,); NaN where a trial failed and its cost is unknown.
        counts: float64 (N,), how many measurements each is the mean of.
        pending: float64 (M, P), where trials run.
    """

    points: Floats
    scores: Floats
    log_costs: Floats
    counts: Floats
    pending: Floats


def search_space(trials: Sequence[FrozenTrial]) -> dict[str, BaseDistribution]:
    """Return the parameters that all trials have, with the distributions of the latest."""
    space: dict[str, BaseDistribution] = {}
    names = set.intersection(*(set(trial.params) for trial in trials)) if trials else set()
    for name in sorted(names):
        distribution = trials[-1].distributions[name]
        if not distribution.single():
            space[name] = distribution
    return space


def measure(trials: Sequence[FrozenTrial], cube: UnitCube, maximize: bool) -> Measurements:
    """Return what is known of a search space, at most `MOST_POINTS` points.

    Of more than 200 trials it is the 100 best, by nondominated layer, and the 100 latest of the
    others. Four points of their learning curves follow, those of the best trials first.

    Args:
        trials: with the parameters of `cube`.
        cube: the search space.
        maximize: whether a higher score is better; if not, scores are negated.
    """
    sign = 1.0 if maximize else -1.0
    done = finished(trials)
    scores = np.array([sign * trial.values[0] for trial in done])
    costs = np.array([trial.values[1] for trial in done])
    order = layers(scores, costs)
    known = {trial.number for trial in done}
    running = [trial for trial in trials if trial.state == TrialState.RUNNING]
    failed = [t for t in trials if t.state.is_finished() and t.number not in known]
    best = [done[index] for index in order[: _MOST_TRIALS // 2]]
    chosen = {trial.number for trial in best}
    rest = [trial for trial in (*done, *failed) if trial.number not in chosen]
    rest.sort(key=lambda trial: trial.number)
    latest = rest[-(_MOST_TRIALS - len(best)) :]
    floor = _floor(scores)
    worst = max(float(scores.min()), floor) if done else 0.0
    rows = [
        (cube.encode(_as_trained(trial)), *_values(trial, sign, floor, worst))
        for trial in best + latest
    ]
    for trial in best + latest:
        if trial.number in known and len(rows) < MOST_POINTS:
            rows += _curve(trial, cube, sign, floor)
    rows = rows[:MOST_POINTS]
    points = np.array([row[0] for row in rows]).reshape(-1, len(cube.names))
    values = np.array([row[1:] for row in rows]).reshape(-1, 2)
    points, values, counts = _averaged(points, values)
    pending = np.array([cube.encode(trial.params) for trial in running])
    return Measurements(
        points, values[:, 0], values[:, 1], counts, pending.reshape(-1, len(cube.names))
    )


def _floor(scores: Floats) -> float:
    """Return the least score that counts: some environments punish failure without bound."""
    if not len(scores) or scores.max() == np.median(scores):
        return -math.inf
    median = float(np.median(scores))
    return median - 3 * (float(scores.max()) - median)


def _values(trial: FrozenTrial, sign: float, floor: float, worst: float) -> tuple[float, float]:
    """Return score and log cost; a failure has the score of the worst trial."""
    if trial.state == TrialState.COMPLETE and all(map(math.isfinite, trial.values)):
        return max(sign * trial.values[0], floor), _log(trial.values[1])
    cpu_s = trial.user_attrs.get("cpu_s")
    return worst, math.nan if cpu_s is None else _log(cpu_s)


def _as_trained(trial: FrozenTrial) -> Mapping[str, object]:
    """Return the parameters, with the length that a trial had until it was stopped early."""
    steps = trial.user_attrs.get("timesteps")
    if trial.user_attrs.get("stopped_early") and steps and LENGTH in trial.params:
        return {**trial.params, LENGTH: steps}
    return trial.params


def _curve(
    trial: FrozenTrial, cube: UnitCube, sign: float, floor: float
) -> list[tuple[Floats, float, float]]:
    """Return points of a learning curve, as trials that trained for a shorter time."""
    curve = sorted(trial.user_attrs.get("curve", []))
    params = _as_trained(trial)
    if LENGTH not in cube.names or not curve:
        return []
    least = getattr(trial.distributions[LENGTH], "low", 0.0)
    end_s = max(curve[-1][0], 1e-9)
    shares = [(cpu_s / end_s, score) for cpu_s, score in curve]
    shares = [
        (share, score)
        for share, score in shares
        if share < 0.95 and share * params[LENGTH] >= least and math.isfinite(score)
    ]
    picked = np.unique(np.linspace(0, len(shares) - 1, _CURVE_POINTS).round().astype(int))
    rows = []
    for index in picked if shares else ():
        share, score = shares[index]
        point = cube.encode({**params, LENGTH: share * params[LENGTH]})
        rows.append((point, max(sign * score, floor), _log(share * trial.values[1])))
    return rows


def _averaged(points: Floats, values: Floats) -> tuple[Floats, Floats, Floats]:
    """Return different points, the means of their values, and how many there were of each."""
    if not len(points):
        return points, values, np.zeros(0)
    unique, inverse = np.unique(points.round(9), axis=0, return_inverse=True)
    inverse = inverse.reshape(-1)
    counts = np.bincount(inverse).astype(np.float64)
    means = np.zeros((len(unique), 2))
    for column in range(2):
        known = np.isfinite(values[:, column])
        sums = np.bincount(inverse[known], values[known, column], len(unique))
        measured = np.bincount(inverse[known], minlength=len(unique))
        with np.errstate(invalid="ignore"):
            means[:, column] = sums / np.where(measured, measured, np.nan)
    return unique, means, counts


def _log(cost: float) -> float:
    return math.log(max(cost, 1e-3))


def subset(count: int, most: int) -> NDArray[np.int64]:
    """Return up to `most` of `count` indices, evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))
