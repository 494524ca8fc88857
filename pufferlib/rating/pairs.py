"""Results of pairs of players: the payoff matrix, and how they differ from the ratings."""

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from pufferlib.rating.likelihood import Floats, Ints, Table
from pufferlib.rating.ratings import NORMAL_95, Misfit, Payoff, Residual


class Pairs(NamedTuple):
    """Sums over the meetings of row and column, each (K, K).

    Attributes:
        games: meetings: for each game, the pairs of sides that the two players had in it.
        score: won by the row, a tie being half.
        expected: the same, from ratings and seats.
        variance: of `score` if no game could tie.
        ties: meetings that tied.
    """

    games: Floats
    score: Floats
    expected: Floats
    variance: Floats
    ties: Floats


# Added to the variance of a score, so that one upset of a sure game is no proof of a misfit.
_ONE_UPSET = 0.25
_PRIOR_GAMES, _LEAST = 10, 0.05


def pairs(tables: Sequence[Table], players: Floats, seats: Sequence[Floats]) -> Pairs:
    """Add up the meetings of each pair of players.

    Args:
        tables: the games.
        players: (K,), the strength parameters of players.
        seats: of each table, those of its seats.
    """
    size = len(players)
    sums = np.zeros((len(Pairs._fields), size * size))
    for table, advantages in zip(tables, seats, strict=True):
        for meeting in _meetings(table, players, advantages):
            score, expected, tied = meeting.score, meeting.expected, meeting.score == 0.5
            cells = meeting.row * size + meeting.column
            parts = (np.ones_like(score), score, expected, expected * (1 - expected), tied)
            for total, part in zip(sums, parts, strict=True):
                total += np.bincount(cells, table.games * part, size * size)
    return Pairs(*sums.reshape(-1, size, size))


class _Meeting(NamedTuple):
    """Two seats of the games of a table, each (N,)."""

    row: Ints
    column: Ints
    score: Floats
    expected: Floats


def _meetings(table: Table, players: Floats, seats: Floats) -> Iterator[_Meeting]:
    """Yield each seat of games against each other seat."""
    values = players[table.players] + seats
    for one, two in itertools.permutations(range(table.sides), 2):
        score = (np.sign(table.ranks[:, two] - table.ranks[:, one]) + 1) / 2
        expected = 1 / (1 + np.exp(values[:, two] - values[:, one]))
        yield _Meeting(table.players[:, one], table.players[:, two], score, expected)


def tie_factors(sums: Pairs) -> Floats:
    """Return what ties leave of the variance of each pair's score, (K, K) in (0, 1].

    A game that is won with probability w, tied with t and so has the mean score p = w + t / 2 has
    the variance p (1 - p) - t / 4: without ties p (1 - p). A pair's estimate is drawn to that of
    all games, and that to 1, as if some more games had been played.
    """
    taken, variance = sums.ties / 4, sums.variance
    prior = _PRIOR_GAMES * variance.sum() / sums.games.sum()
    everywhere = taken.sum() / (variance.sum() + prior)
    return np.maximum(1 - (taken + prior * everywhere) / (variance + prior), _LEAST)


def row_factors(table: Table, players: Floats, seats: Floats, factors: Floats) -> Floats:
    """Return what ties leave of the variance of the games of each row, (N,): the mean of pairs."""
    kept, total = np.zeros(len(table.games)), np.zeros(len(table.games))
    for meeting in _meetings(table, players, seats):
        variance = meeting.expected * (1 - meeting.expected)
        kept += variance * factors[meeting.row, meeting.column]
        total += variance
    return kept / total


def payoff(names: Sequence[str], sums: Pairs, order: Ints) -> Payoff:
    """Return the payoff matrix of players in an order."""
    games, score = (each[np.ix_(order, order)] for each in (sums.games, sums.score))
    games = games * (1 - np.eye(len(games)))  # a player's games against itself say nothing
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(games > 0, score / games, np.nan)
    low, high = wilson(share, games)
    return Payoff(tuple(names[i] for i in order), share, games.astype(np.int64), low, high)


def wilson(share: Floats, games: Floats) -> tuple[Floats, Floats]:
    """Return the 95% interval of a share (Wilson 1927, doi:10.2307/2276774); NaN without games."""
    with np.errstate(divide="ignore", invalid="ignore"):
        z2 = NORMAL_95**2 / games
        center = (share + z2 / 2) / (1 + z2)
        half = np.sqrt(z2 * share * (1 - share) + z2**2 / 4) / (1 + z2)
    return np.maximum(center - half, 0), np.minimum(center + half, 1)


def misfit(names: Sequence[str], sums: Pairs, variance: Floats, parameters: int) -> Misfit:
    """Compare the score of each pair of players with what their ratings say.

    Args:
        names: of players.
        sums: over their meetings.
        variance: (K, K), of each pair's score.
        parameters: how many were fitted to the games.
    """
    ahead = sums.score - sums.expected
    met = np.argwhere(np.triu(sums.games > 0, 1))
    one, two = met[:, 0], met[:, 1]
    swap = ahead[one, two] < 0
    one, two = np.where(swap, two, one), np.where(swap, one, two)
    gap, games = ahead[one, two], sums.games[one, two]
    z = gap / np.sqrt(variance[one, two] + _ONE_UPSET)
    residuals = [
        Residual(
            names[a], names[b], int(sums.games[a, b]), *_shares(sums, a, b), float(standardized)
        )
        for a, b, standardized in zip(one, two, z, strict=True)
    ]
    residuals.sort(key=lambda residual: -residual.z)
    chi_square, degrees = float((z**2).sum()), max(0, len(met) - parameters)
    beyond = (gap**2 - variance[one, two]) / games if len(met) else np.zeros(1)
    deviation = math.sqrt(max(0.0, float(beyond.sum() / max(1.0, games.sum()))))
    p_value = chi_square_tail(chi_square, degrees)
    return Misfit(chi_square, degrees, p_value, deviation, tuple(residuals))


def _shares(sums: Pairs, one: int, two: int) -> tuple[float, float]:
    games = sums.games[one, two]
    return float(sums.score[one, two] / games), float(sums.expected[one, two] / games)


def chi_square_tail(value: float, degrees: int) -> float:
    """Return the probability that a chi-square variable is `value` or more; 1 for 0 degrees.

    It adds up the recurrence of the incomplete gamma function (Abramowitz and Stegun, 26.4.4-5).
    """
    if degrees == 0 or value <= 0:
        return 1.0
    half, start = value / 2, degrees % 2 / 2
    tail = math.erfc(math.sqrt(half)) if start else 0.0
    powers = (start + i for i in range(degrees // 2))
    terms = (math.exp(p * math.log(half) - half - math.lgamma(p + 1)) for p in powers)
    return min(1.0, tail + math.fsum(terms))
