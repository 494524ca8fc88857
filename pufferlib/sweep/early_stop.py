"""Stop trials that can hardly win at what they have cost."""

import math
import statistics

import numpy as np

Curve = list[tuple[float, float]]  # (CPU seconds, score), by CPU seconds

_LEAST_TRIALS = 5
_LEAST_PROGRESS = 1 / 3


class EarlyStop:
    """Compares a trial with the others at equal cost.

    Once it has trained for a third of its steps, or cost more than most others in all, the latest
    evaluation of the trial is compared with the latest that each other trial had at the same cost:
    the best of several would favor those that were evaluated more often. It can hardly win if it is
    below a quantile of these, as in Protein of PufferLib 3; see also the median rule of Golovin et
    al. 2017 (Google Vizier, KDD, 3.2.2). A trial that had ended by then counts with its score; one
    that was stopped itself does not.

    Args:
        quantile: in (0, 1); None never stops.
    """

    def __init__(self, quantile: float | None) -> None:
        self._quantile = quantile
        self._curves: list[tuple[Curve, bool]] = []

    def add(self, curve: Curve, stopped_early: bool) -> None:
        """Compare later trials with a trial that has ended."""
        if curve:
            self._curves.append((sorted(curve), stopped_early))

    def can_hardly_win(self, curve: Curve, progress: float) -> bool:
        """Return whether a trial should be stopped.

        Args:
            curve: so far.
            progress: the share of its steps that it has trained for.
        """
        if self._quantile is None or not curve:
            return False
        cost, latest = max(curve)
        if progress < _LEAST_PROGRESS and cost <= self._median_cost():
            return False
        others = []
        for other, stopped_early in self._curves:
            scores = [score for cpu_s, score in other if cpu_s <= cost]
            if scores and not (stopped_early and other[-1][0] < cost):
                others.append(scores[-1])
        if len(others) < _LEAST_TRIALS:
            return False
        return latest < float(np.quantile(others, self._quantile))

    def _median_cost(self) -> float:
        """Return what the trials that were not stopped have cost."""
        costs = [curve[-1][0] for curve, stopped_early in self._curves if not stopped_early]
        return statistics.median(costs) if costs else math.inf
