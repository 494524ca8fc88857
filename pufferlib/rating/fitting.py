"""Fit ratings to games: Bradley-Terry, or Plackett-Luce with more than two sides."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from pufferlib.exceptions import ArgumentError, UnknownNameError, suggestion
from pufferlib.rating.games import Game
from pufferlib.rating.likelihood import Floats, Model, Table, tabulate
from pufferlib.rating.pairs import Pairs, misfit, pairs, payoff, row_factors, tie_factors
from pufferlib.rating.ratings import (
    ELO,
    NORMAL_95,
    Interval,
    PlayerRating,
    Ratings,
    SeatAdvantage,
)

ANCHOR = "random"
# Standard deviations of the normal priors, in Elo points. Players': small, so that it matters only
# where a player won or lost every game. Seats': smaller, so that a difference between two players
# who never changed seats is mostly attributed to the players.
PLAYERS_PRIOR, SEATS_PRIOR = 800.0, 200.0
_MOST_STEPS, _PRECISION = 100, 1e-9  # of Newton's method, in units of log odds


def fit(games: Iterable[Game], anchor: str | None = ANCHOR) -> Ratings:
    """Return ratings on the Elo scale, with 95% intervals.

    The estimate is the maximum of the likelihood of Bradley and Terry, with more than two sides of
    Plackett and Luce (`pufferlib.rating.likelihood`), with normal priors: of players around the
    mean of their group, standard deviation 800 Elo points; of seats around 0, 200. A tie is half a
    win for each. A team is a side. Intervals come from the Hessian, scaled by what ties take from
    the variance. The order of games does not matter.

    Args:
        games: of one task.
        anchor: the player whose rating is 0. None, or the default if it did not play: ratings are
            relative to the mean of all players.

    Raises:
        ArgumentError: there are no games, they are of several tasks, or a game's ranks do not fit
            its players.
        UnknownNameError: the anchor is in no game.
    """
    games = list(games)
    names = sorted({name for game in games for name in game.players})
    anchor = _check(games, names, anchor)
    index = {name: i for i, name in enumerate(names)}
    tables = tabulate(games, index)
    groups = _groups(tables, len(names), None if anchor is None else index[anchor])
    model = Model(tables, len(names))
    prior = _prior(model, groups)
    vector = _maximum(model, prior, groups)
    players, seats = vector[: len(names)], [vector[part] for part in model.seats]
    sums = pairs(tables, players, seats)
    ties = tie_factors(sums)
    factors = [
        row_factors(table, players, part, ties)[orders.rows]
        for table, part, orders in zip(tables, seats, model.orders, strict=True)
    ]
    inverse = np.linalg.inv(_curvature(model, vector, prior, groups))
    covariance = inverse @ (model.information(vector, factors) + prior) @ inverse

    contrasts = _contrasts(groups, len(names), None if anchor is None else index[anchor])
    ratings = _intervals(contrasts, vector, covariance)
    order = np.array(
        [i for group in groups for i in sorted(group, key=lambda i: -ratings[i].rating)]
    )
    group_of = {i: number for number, group in enumerate(groups) for i in group}
    played, share = _played(tables, len(names)), _scores(sums)
    unexplained = misfit(names, sums, sums.variance * ties, len(names) - len(groups))
    return Ratings(
        players=tuple(
            PlayerRating(names[i], rating, low, high, int(played[i]), float(share[i]), group_of[i])
            for i, (rating, low, high) in ((i, ratings[i]) for i in order.tolist())
        ),
        anchor=anchor,
        groups=tuple(tuple(names[i] for i in order.tolist() if i in group) for group in groups),
        seat_advantage=tuple(_seat_advantages(model, tables, vector, covariance)),
        payoff=payoff(names, sums, order),
        misfit=unexplained,
        covariance=covariance[np.ix_(order, order)] * ELO**2,
    )


def _check(games: Sequence[Game], names: Sequence[str], anchor: str | None) -> str | None:
    """Return the anchor, None if it is the default and did not play."""
    if not games:
        raise ArgumentError("There are no games to rate players by. Play some first.")
    tasks = sorted({game.task for game in games})
    if len(tasks) > 1:
        raise ArgumentError(
            f"The games are of {len(tasks)} tasks: {', '.join(tasks)}. A rating holds for one; fit "
            f"the games of each separately."
        )
    if anchor in names or anchor is None:
        return anchor
    if anchor == ANCHOR:
        return None
    raise UnknownNameError(
        f"The anchor {anchor!r} is in no game.{suggestion(anchor, names)} "
        f"Players: {', '.join(names)}."
    )


def _groups(tables: Sequence[Table], size: int, anchor: int | None) -> list[list[int]]:
    """Return the players that games connect, ascending; the anchor's group first, then larger."""
    meets: list[set[int]] = [set() for _ in range(size)]
    for table in tables:
        for row in np.unique(np.sort(table.players, 1), axis=0).tolist():
            for player in row:
                meets[player].add(row[0])
                meets[row[0]].add(player)
    found: dict[int, list[int]] = {}
    seen: set[int] = set()
    for start in range(size):
        if start in seen:
            continue
        group, waiting = {start}, [start]
        while waiting:
            new = meets[waiting.pop()] - group
            group |= new
            waiting += new
        seen |= group
        found[start] = sorted(group)
    return sorted(found.values(), key=lambda group: (anchor not in group, -len(group), group))


def _prior(model: Model, groups: Sequence[Sequence[int]]) -> Floats:
    """Return the precision of the prior of all parameters."""
    prior = np.zeros((model.size, model.size))
    for group in groups:
        around_mean = np.eye(len(group)) - 1 / len(group)
        prior[np.ix_(group, group)] = around_mean * (ELO / PLAYERS_PRIOR) ** 2
    seats = np.arange(model.num_players, model.size)
    prior[seats, seats] = (ELO / SEATS_PRIOR) ** 2
    return prior


def _curvature(
    model: Model, vector: Floats, prior: Floats, groups: Sequence[Sequence[int]]
) -> Floats:
    """Return the negative Hessian of the posterior, which fixes each group's mean at 0."""
    curvature = model.information(vector) + prior
    for group in groups:  # only differences count: without this, it is singular
        curvature[np.ix_(group, group)] += 1 / len(group)
    return curvature


def _maximum(model: Model, prior: Floats, groups: Sequence[Sequence[int]]) -> Floats:
    """Return the parameters of the highest posterior, by Newton's method with step halving."""

    def posterior(vector: Floats) -> float:
        return model.log_likelihood(vector) - float(vector @ prior @ vector) / 2

    vector = np.zeros(model.size)
    value = posterior(vector)
    for _ in range(_MOST_STEPS):
        gradient = model.gradient(vector) - prior @ vector
        step = np.linalg.solve(_curvature(model, vector, prior, groups), gradient)
        while (after := posterior(vector + step)) < value and np.abs(step).max() > _PRECISION:
            step /= 2
        vector, value = vector + step, after
        if np.abs(step).max() <= _PRECISION:
            break
    return vector


def _contrasts(groups: Sequence[Sequence[int]], size: int, anchor: int | None) -> Floats:
    """Return the weights of players in each one's rating, (K, K)."""
    contrasts = np.eye(size)
    for group in groups:
        if anchor in group:
            contrasts[group, anchor] -= 1
        else:
            contrasts[np.ix_(group, group)] -= 1 / len(group)
    return contrasts


def _intervals(contrasts: Floats, vector: Floats, covariance: Floats) -> list[Interval]:
    """Return values in Elo points; each is the sum of the first parameters times its weights."""
    size = contrasts.shape[1]
    values = contrasts @ vector[:size] * ELO
    variances = np.einsum("ij,jk,ik->i", contrasts, covariance[:size, :size], contrasts)
    half = NORMAL_95 * ELO * np.sqrt(np.maximum(variances, 0))
    return [
        Interval(value, value - margin, value + margin)
        for value, margin in zip(values.tolist(), half.tolist(), strict=True)
    ]


def _seat_advantages(
    model: Model, tables: Sequence[Table], vector: Floats, covariance: Floats
) -> Iterator[SeatAdvantage]:
    for table, part in zip(tables, model.seats, strict=True):
        contrasts = np.zeros((table.sides, model.size))
        contrasts[:, part] = np.eye(table.sides) * (1 + 1 / (table.sides - 1))
        contrasts[:, part] -= 1 / (table.sides - 1)
        intervals = _intervals(contrasts, vector, covariance)
        games = int(table.games.sum())
        for seat, interval in enumerate(intervals):
            ahead = (table.ranks[:, [seat]] < table.ranks).sum(1)
            tied = (table.ranks[:, [seat]] == table.ranks).sum(1) - 1  # not with itself
            score = float(table.games @ (ahead + tied / 2)) / games / (table.sides - 1)
            yield SeatAdvantage(table.sides, seat, *interval, games, score)


def _played(tables: Sequence[Table], size: int) -> Floats:
    """Return how many games each player had in which another took part."""
    played = np.zeros(size)
    for table in tables:
        who = np.sort(table.players, 1)
        first = np.hstack([np.ones((len(who), 1), np.bool_), who[:, 1:] != who[:, :-1]])
        counted = table.games * (first.sum(1) > 1)
        played += np.bincount(who[first], (first * counted[:, None])[first], size)
    return played


def _scores(sums: Pairs) -> Floats:
    """Return the share of other players' sides that each beat, (K,); NaN where it met none."""
    others = 1 - np.eye(len(sums.games))
    with np.errstate(invalid="ignore"):
        return (sums.score * others).sum(1) / (sums.games * others).sum(1)
