"""The posterior of the parameters of a model of games: its mode, and intervals around it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pufferlib.rating.likelihood import Floats, Model

ELO = 400 / math.log(10)  # Elo points in a unit of log odds
NORMAL_95 = 1.959963984540054
# Standard deviations of the normal priors, in Elo points. Players': wide, so that it matters only
# where a player won or lost every game. Seats': narrow, so that a difference between two players
# who never changed seats is mostly attributed to the players.
PLAYERS_PRIOR, SEATS_PRIOR = 800.0, 200.0
_MOST_STEPS, _PRECISION = 100, 1e-9  # of Newton's method, in units of log odds
_NEARLY_NORMAL = 100 / ELO  # half an interval so narrow is symmetric


class Interval(NamedTuple):
    """A value in Elo points with its 95% interval."""

    rating: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Posterior:
    """The likelihood of games times a normal prior, in units of log odds.

    Attributes:
        model: the likelihood.
        prior: (P, P), the precision of the prior of the parameters.
        mode: (P,), the parameters of the highest posterior.
        inverse: (P, P), of the negative Hessian at the mode.
        covariance: (P, P), of the estimate: `inverse`, but for the effect of ties.
    """

    model: Model
    prior: Floats
    mode: Floats
    inverse: Floats
    covariance: Floats

    def interval(self, contrast: Floats) -> Interval:
        """Return the sum of parameters times weights in Elo points, with its 95% interval.

        Its limits are 1.96 standard deviations of the inverse Hessian from the mode, which a normal
        posterior has where its logarithm is 1.92 below the maximum. Limits where it is less than
        half or more than twice as far below are moved to there: for a player who won every game,
        the lower limit is nearer and the upper one farther.

        Args:
            contrast: (P,), the weights; all zero for the anchor.
        """
        value, along = float(contrast @ self.mode), self.inverse @ contrast
        variance, without_ties = (
            float(contrast @ each) for each in (self.covariance @ contrast, along)
        )
        half = NORMAL_95 * math.sqrt(max(0.0, variance))
        below = above = half
        if half > _NEARLY_NORMAL:
            drop = NORMAL_95**2 / 2 * variance / without_ties
            # The other parameters follow the sum as they do at the mode.
            line = along / without_ties
            below, above = (self._distance(sign * line, half, drop) for sign in (-1, 1))
        return Interval(value * ELO, (value - below) * ELO, (value + above) * ELO)

    def _distance(self, line: Floats, normal: float, drop: float) -> float:
        """Return how far along a line a limit is.

        Args:
            line: (P,), the change of the parameters per unit of distance.
            normal: the limit if the posterior were normal,
            drop: and how far its logarithm would be below the maximum there.
        """
        values, steps = self.model.values(self.mode), self.model.values(line)
        top, of_prior = self.model.log_likelihood(values), line @ self.prior

        def root_drop(distance: float) -> float:  # straight if the posterior is normal
            there = [value + distance * step for value, step in zip(values, steps, strict=True)]
            moved = self.mode + distance / 2 * line
            lost = top - self.model.log_likelihood(there) + distance * float(of_prior @ moved)
            return math.sqrt(max(0.0, lost))

        least, most = math.sqrt(drop / 2), math.sqrt(drop * 2)
        found = root_drop(normal)
        if least <= found <= most:
            return normal
        return _solve(root_drop, min(max(found, least), most), normal, found)


def _solve(function: Callable[[float], float], goal: float, guess: float, found: float) -> float:
    """Return where an increasing function from 0 at 0 is `goal`, by regula falsi (Illinois).

    Args:
        function: what to solve.
        goal: above 0.
        guess: a place to begin from.
        found: the function there.
    """
    low, at_low = 0.0, -goal
    high, at_high = guess, found - goal
    while at_high < 0:
        low, at_low = high, at_high
        high *= 2
        at_high = function(high) - goal
    for _ in range(_MOST_STEPS):
        middle = (low * at_high - high * at_low) / (at_high - at_low)
        at_middle = function(middle) - goal
        if abs(at_middle) < 3e-3 * goal:
            return middle
        if at_middle > 0:
            high, at_high, at_low = middle, at_middle, at_low / 2
        else:
            low, at_low, at_high = middle, at_middle, at_high / 2
    return high


def priors(model: Model, groups: Sequence[Sequence[int]]) -> Floats:
    """Return the precision of the prior: players are near their group's mean, seats near 0."""
    prior = np.zeros((model.size, model.size))
    for group in groups:
        around_mean = np.eye(len(group)) - 1 / len(group)
        prior[np.ix_(group, group)] = around_mean * (ELO / PLAYERS_PRIOR) ** 2
    seats = np.arange(model.num_players, model.size)
    prior[seats, seats] = (ELO / SEATS_PRIOR) ** 2
    return prior


def maximize(model: Model, prior: Floats, groups: Sequence[Sequence[int]]) -> Floats:
    """Return the parameters of the highest posterior, by Newton's method with step halving."""

    def log_density(vector: Floats) -> float:
        return model.log_likelihood(model.values(vector)) - float(vector @ prior @ vector) / 2

    vector = np.zeros(model.size)
    value = log_density(vector)
    for _ in range(_MOST_STEPS):
        gradient = model.gradient(vector) - prior @ vector
        step = np.linalg.solve(curvature(model, prior, groups, vector), gradient)
        while (after := log_density(vector + step)) < value and (np.abs(step).max() > _PRECISION):
            step /= 2
        vector, value = vector + step, after
        if np.abs(step).max() <= _PRECISION:
            break
    return vector


def curvature(
    model: Model, prior: Floats, groups: Sequence[Sequence[int]], vector: Floats
) -> Floats:
    """Return the negative Hessian of the log posterior, with the mean of each group fixed at 0."""
    total = model.information(vector) + prior
    for group in groups:  # only differences count: without this, it is singular
        total[np.ix_(group, group)] += 1 / len(group)
    return total
