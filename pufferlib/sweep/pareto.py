"""A cost-aware sampler, which expands the front of score against cost."""

from typing import Any

import numpy as np
import torch
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from pufferlib.sweep.front import is_on_front
from pufferlib.sweep.gaussian_process import GaussianProcess
from pufferlib.sweep.measurements import LENGTH, Measurements, measure, search_space, subset
from pufferlib.sweep.seeded import SeededByTrial, random_sampler
from pufferlib.sweep.unit_cube import Floats, UnitCube

_FIT_POINTS = 100
_GLOBAL, _LOCAL = 256, 512  # candidates
_SHORT = 0.3  # of the range of lengths, for the first trials


class ParetoSampler(BaseSampler):
    """Proposes what should add most to the front of score against cost, for the CPU time it takes.

    Two Gaussian processes predict the score and the logarithm of the cost, as Protein in PufferLib
    3 and CARBS (Fetterman et al. 2023, arXiv:2306.08055) do. The value of a candidate is the
    expected growth of the area below the front over log cost, divided by its predicted cost to the
    power `cost_power`. Candidates are spread over the space and around the front.

    The study has two directions, and minimizes the second. Parameters that some trials lack, which
    have a condition, are drawn at random.

    Args:
        seed: what is drawn for a trial depends on it, the trial's number and the earlier trials.
        startup: first trials, which are short points of a Sobol sequence.
        cost_power: 0 ignores what a trial costs, 1 is growth per second (Snoek et al. 2012,
            arXiv:1206.2944, 3.2).
    """

    def __init__(self, seed: int, startup: int = 10, cost_power: float = 0.5) -> None:
        self._seed, self._startup, self._cost_power = seed, startup, cost_power
        self._random = SeededByTrial(random_sampler, seed)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return search_space(_others(study, trial))

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        if not search_space:
            return {}
        directions = list(study.directions)
        if len(directions) != 2 or directions[1] != StudyDirection.MINIMIZE:
            raise ValueError("ParetoSampler needs two directions, the second of them minimize.")
        cube = UnitCube(search_space)
        trials = [
            other for other in _others(study, trial) if search_space.keys() <= set(other.params)
        ]
        data = measure(trials, cube, directions[0] == StudyDirection.MAXIMIZE)
        if trial.number < self._startup or np.isfinite(data.log_costs).sum() < 3:
            return cube.decode(self._first(cube, trial.number))
        rng = np.random.default_rng([self._seed, trial.number])
        return cube.decode(propose(cube, data, rng, self._cost_power))

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        return self._random.sample_independent(study, trial, param_name, param_distribution)

    def _first(self, cube: UnitCube, number: int) -> Floats:
        """Return a point of a scrambled Sobol sequence, with a short length."""
        sobol = torch.quasirandom.SobolEngine(len(cube.names), scramble=True, seed=self._seed)
        point: Floats = sobol.fast_forward(number).draw(1, dtype=torch.float64)[0].numpy()
        if LENGTH in cube.names:
            point[cube.names.index(LENGTH)] *= _SHORT
        return point


def propose(
    cube: UnitCube, data: Measurements, rng: np.random.Generator, cost_power: float
) -> Floats:
    """Return the point (P,) of the unit cube to try next.

    Args:
        cube: the search space.
        data: what was measured.
        rng: draws candidates.
        cost_power: see `ParetoSampler`.
    """
    score, cost = _models(cube, data)
    known = cube.features(data.points)
    means, log_costs = score.predict(known)[0], cost.predict(known)[0]
    if len(data.pending):
        pending = cube.features(data.pending)
        score.with_points(pending)
        means = np.append(means, score.predict(pending)[0])
        log_costs = np.append(log_costs, cost.predict(pending)[0])
    chosen = is_on_front(means, log_costs)
    centers = np.concatenate([data.points, data.pending])[chosen]
    candidates = _candidates(cube, centers, rng)
    features = cube.features(candidates)
    mean, deviation = score.predict(features)
    log_cost, _ = cost.predict(features)
    growth = expected_growth(mean, deviation, log_cost, means[chosen], log_costs[chosen])
    return candidates[int(np.argmax(growth * np.exp(-cost_power * (log_cost - log_cost.min()))))]


def expected_growth(
    mean: Floats, deviation: Floats, log_cost: Floats, front_scores: Floats, front_costs: Floats
) -> Floats:
    """Return by how much each candidate is expected to increase the area below the front (N,).

    The area is that over log cost up to the highest of front and candidates, above the score of the
    front's cheapest point. A candidate's cost is taken as known; its score is normal. On each piece
    of the front, the gain is its width times the expected improvement (Jones et al. 1998,
    DOI 10.1023/A:1008306431147, eq. 15) on its score.

    Args:
        mean: of the candidates' scores, (N,).
        deviation: of them, (N,).
        log_cost: of the candidates, (N,).
        front_scores: (F,).
        front_costs: logarithms of costs, (F,).
    """
    order = np.argsort(front_costs)
    scores, costs = front_scores[order], front_costs[order]
    end = max(float(costs[-1]), float(log_cost.max())) + 0.1
    edges = np.concatenate([[-np.inf], costs, [end]])
    best = np.concatenate([scores[:1], scores])  # of each piece between edges
    widths = np.clip(edges[1:] - np.maximum(edges[:-1], log_cost[:, None]), 0, None)  # (N, F + 1)
    z = (mean[:, None] - best) / deviation[:, None]
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    below = torch.special.ndtr(torch.from_numpy(z)).numpy()
    improvement = deviation[:, None] * (z * below + density)
    return (widths * improvement).sum(1)


def _models(cube: UnitCube, data: Measurements) -> tuple[GaussianProcess, GaussianProcess]:
    """Return Gaussian processes of score and log cost."""
    features = cube.features(data.points)
    is_known = np.isfinite(data.log_costs)
    rows = subset(len(features), _FIT_POINTS)
    score = GaussianProcess(features, data.scores, data.counts, rows)
    rows = subset(int(is_known.sum()), _FIT_POINTS)
    cost = GaussianProcess(
        features[is_known], data.log_costs[is_known], data.counts[is_known], rows
    )
    return score, cost


def _candidates(cube: UnitCube, centers: Floats, rng: np.random.Generator) -> Floats:
    """Return candidates (N, P) on the grids of the space: everywhere, and around `centers`."""
    size = len(cube.names)
    anywhere = rng.random((_GLOBAL, size))
    local = centers[rng.integers(len(centers), size=_LOCAL)]
    width = rng.choice([0.05, 0.15, 0.3], size=(_LOCAL, 1))
    moves = rng.random((_LOCAL, size)) < rng.choice([0.2, 0.5, 1.0], size=(_LOCAL, 1))
    local = local + moves * width * rng.standard_normal((_LOCAL, size))
    local = np.abs(local)
    local = np.where(local > 1, 2 - local, local)  # reflected at the sides
    return cube.snap(np.concatenate([anywhere, local]))


def _others(study: Study, trial: FrozenTrial) -> list[FrozenTrial]:
    """Return the trials that have begun, except `trial`."""
    return [
        other
        for other in study.get_trials(deepcopy=False)
        if other.number != trial.number and other.state != TrialState.WAITING and other.params
    ]
