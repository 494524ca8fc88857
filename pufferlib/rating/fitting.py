"""Fit ratings to games: Bradley-Terry, or Plackett-Luce with more than two sides."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from pufferlib.exceptions import ArgumentError, UnknownNameError, suggestion
from pufferlib.rating.games import RANDOM, Game
from pufferlib.rating.likelihood import Floats, Model, Table, tabulate
from pufferlib.rating.pairs import Pairs, misfit, pairs, payoff, row_factors, tie_factors
from pufferlib.rating.posterior import Posterior, curvature, maximize, priors
from pufferlib.rating.ratings import PlayerRating, Ratings, SeatAdvantage


def fit(games: Iterable[Game], anchor: str | None = RANDOM) -> Ratings:
    """Return ratings on the Elo scale, with 95% intervals.

    The estimate is the maximum of the likelihood of Bradley and Terry, with more than two sides of
    Plackett and Luce (`pufferlib.rating.likelihood`), with normal priors: of players around the
    mean of their group, standard deviation 800 Elo points; of seats around 0, 200. A tie is half a
    win for each. A team is a side. Intervals come from the Hessian, less the variance that ties
    take away, and are corrected where the posterior is far from normal (`Posterior.interval`). The
    order of games does not matter.

    Args:
        games: of one task.
        anchor: the player whose rating is 0. None, or the default if it did not play: ratings are
            relative to the mean of all players.

    Raises:
        ArgumentError: there are no games of two sides, they are of several tasks, or a game's ranks
            do not fit its players.
        UnknownNameError: the anchor is in no game.
    """
    games = list(games)
    names = sorted({name for game in games for name in game.players})
    anchor = _check(games, names, anchor)
    index = {name: i for i, name in enumerate(names)}
    tables = tabulate(games, index)
    if not tables:
        raise ArgumentError("Every game has one side. Ratings need games of two sides or more.")
    groups = _groups(tables, len(names), None if anchor is None else index[anchor])
    posterior = _posterior(tables, groups, len(names))
    players = posterior.mode[: len(names)]
    sums = pairs(tables, players, [posterior.mode[part] for part in posterior.model.seats])
    ratings = [
        posterior.interval(contrast)
        for contrast in _contrasts(groups, posterior, None if anchor is None else index[anchor])
    ]
    ranked = [sorted(group, key=lambda i: -round(ratings[i].rating, 6)) for group in groups]
    order = np.concatenate(ranked)
    group_of = {i: number for number, group in enumerate(groups) for i in group}
    played, share = _played(tables, len(names)), _scores(sums)
    return Ratings(
        players=tuple(
            PlayerRating(names[i], rating, low, high, int(played[i]), float(share[i]), group_of[i])
            for i, (rating, low, high) in ((i, ratings[i]) for i in order.tolist())
        ),
        anchor=anchor,
        groups=tuple(tuple(names[i] for i in group) for group in ranked),
        seat_advantage=tuple(_seat_advantages(posterior, tables)),
        payoff=payoff(names, sums, order),
        misfit=misfit(names, sums, len(names) - len(groups)),
        posterior=posterior,
        index=index,
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
    if anchor == RANDOM:
        return None
    raise UnknownNameError(
        f"The anchor {anchor!r} is in no game.{suggestion(anchor, names)} "
        f"Players: {', '.join(names)}."
    )


def _groups(tables: Sequence[Table], size: int, anchor: int | None) -> list[list[int]]:
    """Return the players that games connect, ascending; the anchor's group first, then larger."""
    met = np.eye(size, dtype=np.bool_)
    for table in tables:
        for seat in range(1, table.sides):  # the first side connects all others
            met[table.players[:, 0], table.players[:, seat]] = True
    met |= met.T
    groups: list[list[int]] = []
    left = np.ones(size, np.bool_)
    while left.any():
        group = np.zeros(size, np.bool_)
        group[left.argmax()] = True
        while (met[group].any(0) & ~group).any():
            group |= met[group].any(0)
        groups.append(np.flatnonzero(group).tolist())
        left &= ~group
    return sorted(groups, key=lambda group: (anchor not in group, -len(group), group))


def _posterior(tables: Sequence[Table], groups: Sequence[Sequence[int]], size: int) -> Posterior:
    """Fit the parameters of players and seats."""
    model = Model(tables, size)
    prior = priors(model, groups)
    mode = maximize(model, prior, groups)
    players, seats = mode[:size], [mode[part] for part in model.seats]
    ties = tie_factors(pairs(tables, players, seats))
    factors = [
        row_factors(table, players, part, ties)[orders.rows]
        for table, part, orders in zip(tables, seats, model.orders, strict=True)
    ]
    inverse = np.linalg.inv(curvature(model, prior, groups, mode)).astype(np.float64)
    covariance = inverse @ (model.information(mode, factors) + prior) @ inverse
    return Posterior(model, prior, mode, inverse, covariance)


def _contrasts(groups: Sequence[Sequence[int]], posterior: Posterior, anchor: int | None) -> Floats:
    """Return the weights of parameters in each player's rating, (K, P)."""
    contrasts = np.eye(posterior.model.num_players, posterior.model.size)
    for group in groups:
        if anchor in group:
            contrasts[group, anchor] -= 1
        else:
            contrasts[np.ix_(group, group)] -= 1 / len(group)
    return contrasts


def _seat_advantages(posterior: Posterior, tables: Sequence[Table]) -> Iterator[SeatAdvantage]:
    for table, part in zip(tables, posterior.model.seats, strict=True):
        games = int(table.games.sum())
        for seat in range(table.sides):
            contrast = np.zeros(posterior.model.size)
            contrast[part] = -1 / (table.sides - 1)
            contrast[part.start + seat] = 1
            rating, low, high = posterior.interval(contrast)
            ahead = (table.ranks[:, [seat]] < table.ranks).sum(1)
            tied = (table.ranks[:, [seat]] == table.ranks).sum(1) - 1  # not with itself
            score = float(table.games @ (ahead + tied / 2)) / games / (table.sides - 1)
            yield SeatAdvantage(table.sides, seat, rating, low, high, games, score)


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
