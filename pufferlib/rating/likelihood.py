"""The Plackett-Luce likelihood of games, its gradient and its Hessian.

A side of a game has strength exp(x), where x is its player's parameter plus its seat's. The best
side is drawn among all sides in proportion to strength, the second best among the others, and so
on (Plackett 1975, doi:10.2307/2346567). Of two sides, a is better than b with probability
1 / (1 + exp(x_b - x_a)): Bradley and Terry's model (1952, doi:10.2307/2334029).

A game with ties is the mean of the orders in which its sides could have finished: with two sides,
half a win for each.
"""

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pufferlib.exceptions import ArgumentError
from pufferlib.rating.games import Game

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# A tie of more orders than this (of five sides or more) is the mean of rotations and their reverse,
# in which each side is in each place equally often.
_MOST_ORDERS = 24
_CHUNK = 1 << 20  # entries of an array of Hessians


class Table(NamedTuple):
    """Games with the same number of sides; equal games are one row.

    Attributes:
        players: (N, sides), the index of each side's player.
        ranks: (N, sides).
        games: (N,), how many games a row stands for.
    """

    players: Ints
    ranks: Ints
    games: Floats

    @property
    def sides(self) -> int:
        return self.players.shape[1]


class Orders(NamedTuple):
    """The orders in which the sides of the games of a table finished.

    Attributes:
        rows: (M,), the row of the table; several orders for one with ties.
        seats: (M, sides), the seat of the best side, of the second best, ...
        players: (M, sides), its player.
        weights: (M,), games; those of a row are divided among its orders.
    """

    rows: Ints
    seats: Ints
    players: Ints
    weights: Floats


def tabulate(games: Iterable[Game], index: Mapping[str, int]) -> list[Table]:
    """Count equal games; one table for each number of sides. Games of one side are left out.

    Raises:
        ArgumentError: a game has another number of ranks than of players.
    """
    counts = Counter((game.players, game.ranks) for game in games)
    by_sides: dict[int, list[tuple[list[int], tuple[int, ...], int]]] = {}
    for (players, ranks), count in counts.items():
        if len(players) != len(ranks):
            raise ArgumentError(
                f"A game of {', '.join(players)} has {len(players)} players and {len(ranks)} "
                f"ranks. Give each side a rank, 1 for the best."
            )
        row = ([index[name] for name in players], ranks, count)
        by_sides.setdefault(len(players), []).append(row)
    tables = []
    for sides, rows in sorted(by_sides.items()):
        if sides > 1:
            columns = zip(*sorted(rows), strict=True)  # sums do not depend on the order of games
            who, ranks_, numbers = (np.array(column) for column in columns)
            tables.append(Table(who, ranks_, numbers.astype(np.float64)))
    return tables


def orders_of(table: Table) -> Orders:
    """Return the orders in which the sides of the games finished."""
    kinds, kind_of = np.unique(table.ranks, axis=0, return_inverse=True)
    rows, seats, weights = [], [], []
    for kind, ranks in enumerate(kinds):
        orders = np.array(_orders(tuple(ranks.tolist())))  # (R, sides)
        of_kind = np.flatnonzero(kind_of.reshape(-1) == kind)
        rows.append(np.repeat(of_kind, len(orders)))
        seats.append(np.tile(orders, (len(of_kind), 1)))
        weights.append(np.repeat(table.games[of_kind] / len(orders), len(orders)))
    row, seat = np.concatenate(rows), np.concatenate(seats)
    return Orders(row, seat, table.players[row[:, None], seat], np.concatenate(weights))


@lru_cache(maxsize=4096)
def _orders(ranks: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Return the seats from best to worst, in each order that fits the ranks."""
    seats = sorted(range(len(ranks)), key=lambda seat: ranks[seat])
    groups = [list(group) for _, group in itertools.groupby(seats, key=lambda seat: ranks[seat])]
    if math.prod(math.factorial(len(group)) for group in groups) <= _MOST_ORDERS:
        found = itertools.product(*(itertools.permutations(group) for group in groups))
        return [tuple(itertools.chain(*parts)) for parts in found]
    rotations = min(max(len(group) for group in groups), _MOST_ORDERS // 2)
    orders = []
    for rotation in range(rotations):
        shifts = [rotation * len(group) // rotations for group in groups]
        turned = [
            group[shift:] + group[:shift] for group, shift in zip(groups, shifts, strict=True)
        ]
        orders.append(tuple(itertools.chain(*turned)))
        orders.append(tuple(itertools.chain(*(group[::-1] for group in turned))))
    return orders


class Stages(NamedTuple):
    """What the likelihood of orders is made of, by place from the best.

    Attributes:
        log_likelihood: (M,).
        strength: (M, sides), relative to the strongest side of the order.
        sum_inverse: (M, sides), the sum of 1 / (strength of those not yet placed) up to a place.
        sum_square: the same of its square.
    """

    log_likelihood: Floats
    strength: Floats
    sum_inverse: Floats
    sum_square: Floats

    @property
    def gradient(self) -> Floats:
        """By each side's strength parameter, (M, sides)."""
        return 1 - self.strength * self.sum_inverse

    @property
    def information(self) -> Floats:
        """The diagonal of the negative Hessian, (M, sides)."""
        return self.strength * self.sum_inverse - self.strength**2 * self.sum_square


def stages(values: Floats) -> Stages:
    """Return the parts of the likelihood of orders, from strength parameters (M, sides)."""
    values = values - values.max(1, keepdims=True)
    strength = np.exp(values)
    left = np.cumsum(strength[:, ::-1], 1)[:, ::-1]  # of a place and of all worse ones
    log_likelihood = (values - np.log(left)).sum(1)
    return Stages(log_likelihood, strength, np.cumsum(1 / left, 1), np.cumsum(left**-2, 1))


class Model:
    """The likelihood of tables of games as a function of one vector.

    Attributes:
        num_players: the first parameters are those of players.
        seats: of each table, the slice of its seats' parameters.
        size: of the vector.
        orders: of each table.
    """

    def __init__(self, tables: Sequence[Table], num_players: int) -> None:
        self.num_players = num_players
        ends = np.cumsum([num_players, *(table.sides for table in tables)]).tolist()
        self.seats = [slice(a, b) for a, b in itertools.pairwise(ends)]
        self.size: int = ends[-1]
        self.orders = [orders_of(table) for table in tables]

    def values(self, vector: Floats, which: int) -> Floats:
        """Return the strength parameters in the orders of a table, (M, sides)."""
        orders = self.orders[which]
        return vector[orders.players] + vector[self.seats[which]][orders.seats]

    def log_likelihood(self, vector: Floats) -> float:
        """Return the logarithm of the probability of all games."""
        return sum(
            float(orders.weights @ stages(self.values(vector, which)).log_likelihood)
            for which, orders in enumerate(self.orders)
        )

    def gradient(self, vector: Floats) -> Floats:
        """Return the gradient of the log-likelihood."""
        gradient = np.zeros(self.size)
        for which, orders in enumerate(self.orders):
            parts = stages(self.values(vector, which)).gradient * orders.weights[:, None]
            for columns in self._columns(which):
                gradient += np.bincount(columns.ravel(), parts.ravel(), self.size)
        return gradient

    def information(self, vector: Floats, factors: Sequence[Floats] | None = None) -> Floats:
        """Return the negative Hessian of the log-likelihood.

        Args:
            vector: the parameters.
            factors: of each table, (M,), multiply the weights of its orders.
        """
        total = np.zeros(self.size**2)
        for which, orders in enumerate(self.orders):
            weights = orders.weights if factors is None else orders.weights * factors[which]
            values, columns = self.values(vector, which), self._columns(which)
            for part in _chunks(*values.shape):
                matrices = _matrices(stages(values[part])) * weights[part, None, None]
                for first, second in itertools.product(columns, columns):
                    cells = first[part, :, None] * self.size + second[part, None, :]
                    total += np.bincount(cells.ravel(), matrices.ravel(), self.size**2)
        return total.reshape(self.size, self.size)

    def _columns(self, which: int) -> tuple[Ints, Ints]:
        """Return which parameters a side's strength is the sum of, two arrays (M, sides)."""
        orders = self.orders[which]
        return orders.players, orders.seats + self.seats[which].start


def _chunks(rows: int, sides: int) -> Iterator[slice]:
    step = max(1, _CHUNK // sides**2)
    return (slice(start, start + step) for start in range(0, rows, step))


def _matrices(parts: Stages) -> Floats:
    """Return the negative Hessian of each order by its sides' parameters, (M, sides, sides)."""
    places = np.arange(parts.strength.shape[1])
    until = np.minimum(places[:, None], places)  # sides i and j compete until one is placed
    strength = parts.strength
    matrices = -strength[:, :, None] * strength[:, None, :] * parts.sum_square[:, until]
    matrices[:, places, places] += strength * parts.sum_inverse
    return matrices
