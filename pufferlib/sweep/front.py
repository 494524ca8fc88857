"""The front of a sweep: trials that no other beats in both score and cost."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

Floats = NDArray[np.float64]


def is_on_front(scores: ArrayLike, costs: ArrayLike) -> NDArray[np.bool_]:
    """Return for each point whether it is on the front (N,).

    That is where no other point has at least its score at most its cost, and is better in one of
    them. Of equal points, the first is on the front.

    Args:
        scores: (N,), higher is better.
        costs: (N,), lower is better.
    """
    score, cost = np.asarray(scores, np.float64), np.asarray(costs, np.float64)
    chosen = np.zeros(len(score), np.bool_)
    best = -math.inf
    for index in np.lexsort((np.arange(len(score)), -score, cost)):
        if score[index] > best:
            best = score[index]
            chosen[index] = True
    return chosen


def finished(trials: Sequence["FrozenTrial"]) -> list["FrozenTrial"]:
    """Return the trials that have a finite score and cost, in their order."""
    from optuna.trial import TrialState

    return [
        trial
        for trial in trials
        if trial.state == TrialState.COMPLETE and all(map(math.isfinite, trial.values))
    ]


def front(trials: Sequence["FrozenTrial"]) -> list["FrozenTrial"]:
    """Return the trials on the front, the cheapest first.

    One that was stopped early is left out: a run with its settings would not end where it did, as
    the learning rate follows the length of training.
    """
    found = [t for t in finished(trials) if not t.user_attrs.get("stopped_early")]
    scores, costs = [trial.values[0] for trial in found], [trial.values[1] for trial in found]
    chosen = is_on_front(scores, costs)
    return sorted(
        (trial for trial, on in zip(found, chosen, strict=True) if on), key=lambda t: t.values[1]
    )


def to_confirm(trials: Sequence["FrozenTrial"], most: int) -> list["FrozenTrial"]:
    """Return up to `most` trials of the front, spread evenly over the logarithm of cost.

    The cheapest and the best are among them; of `most` = 1, the best.
    """
    found = front(trials)
    if len(found) <= most:
        return found
    places = np.log([max(trial.values[1], 1e-9) for trial in found])
    chosen = {len(found) - 1}
    for target in np.linspace(places[-1], places[0], most)[1:]:
        left = [index for index in range(len(found)) if index not in chosen]
        chosen.add(min(left, key=lambda index: (abs(places[index] - target), -index)))
    return [found[index] for index in sorted(chosen)]


def hypervolume(
    scores: ArrayLike, costs: ArrayLike, least_score: float, costs_within: tuple[float, float]
) -> float:
    """Return the area below the front over log cost, in score times units of log cost.

    It is the integral, over log cost from the lower to the upper bound, of the best score so far
    above `least_score` (Zitzler and Thiele 1998, DOI 10.1007/BFb0056872).

    Args:
        scores: (N,).
        costs: (N,), above 0.
        least_score: scores below it count as it.
        costs_within: (low, high); points below `low` count from there, those above `high` do not.
    """
    score, cost = np.asarray(scores, np.float64), np.asarray(costs, np.float64)
    low, high = costs_within
    chosen = np.flatnonzero(is_on_front(score, cost) & (score > least_score))
    chosen = chosen[np.argsort(cost[chosen])]
    edges = np.log(np.clip(np.append(cost[chosen], high), low, high))
    return float((np.diff(edges) * (score[chosen] - least_score)).sum())
