"""Ratings with their intervals, the payoff matrix and the misfit of games."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pufferlib.exceptions import UnknownNameError, suggestion

ELO = 400 / math.log(10)  # Elo points in a unit of log odds
NORMAL_95 = 1.959963984540054


class Interval(NamedTuple):
    """A value in Elo points with its 95% interval."""

    rating: float
    low: float
    high: float


@dataclass(frozen=True)
class PlayerRating:
    """How strong a player is.

    Attributes:
        name: of the player.
        rating: in Elo points above the anchor, or above the mean of its group.
        low: of the 95% interval of `rating`.
        high: of the 95% interval of `rating`.
        games: in which it met another player.
        score: the share of other players' sides that it beat, a tie being half; NaN without games.
        group: the index of its group in `Ratings.groups`.
    """

    name: str
    rating: float
    low: float
    high: float
    games: int
    score: float
    group: int = 0


@dataclass(frozen=True)
class SeatAdvantage:
    """What a seat is worth.

    Attributes:
        sides: how many sides the games have.
        seat: from 0; seat 0 of a game by turns moves first.
        rating: in Elo points, compared with the mean of the other seats.
        low: of the 95% interval of `rating`.
        high: of the 95% interval of `rating`.
        games: how many were played with so many sides.
        score: the share of the other sides that this seat beat, a tie being half.
    """

    sides: int
    seat: int
    rating: float
    low: float
    high: float
    games: int
    score: float


@dataclass(frozen=True)
class Payoff:
    """The result of each player against each other.

    Attributes:
        players: the names of rows and columns, best first.
        score: float64 (K, K), the share of games in which the row beat the column, a tie being
            half; NaN where they did not meet, and on the diagonal.
        games: int64 (K, K), how many times they met. A game of more than two sides counts once for
            each pair of sides.
        low: float64 (K, K), of Wilson's 95% interval of `score`.
        high: float64 (K, K), of Wilson's 95% interval of `score`.
    """

    players: tuple[str, ...]
    score: NDArray[np.float64]
    games: NDArray[np.int64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


@dataclass(frozen=True)
class Residual:
    """The result of a pair of players where it differs from what their ratings say.

    Attributes:
        first: the player that did better than expected.
        second: the other.
        games: how many times they met.
        score: the share of them that `first` won, a tie being half.
        expected: the same, from the ratings and the seats they had.
        z: the difference in standard deviations.
    """

    first: str
    second: str
    games: int
    score: float
    expected: float
    z: float


@dataclass(frozen=True)
class Misfit:
    """How badly one number per player describes the games.

    Attributes:
        chi_square: the sum over pairs of z squared.
        degrees: of freedom: pairs that met, less fitted parameters.
        p_value: the probability of such a sum or more if the ratings described the games; 1 with
            no degrees of freedom.
        deviation: how far pairs' scores are from the expected ones beyond chance, the root of the
            mean square, in [0, 1].
        residuals: of all pairs, the largest first.
    """

    chi_square: float
    degrees: int
    p_value: float
    deviation: float
    residuals: tuple[Residual, ...]


@dataclass(frozen=True)
class Ratings:
    """The result of `fit`.

    Attributes:
        players: best first; group by group where not all have met.
        anchor: the player whose rating is 0; None if ratings are relative to the mean.
        groups: the names of players that are connected by games. Ratings of different groups
            cannot be compared. The anchor's group is first, then the larger.
        seat_advantage: of each seat; for each number of sides, if it varies.
        payoff: the result of each player against each other.
        misfit: how badly the ratings describe the games.
        covariance: float64 (K, K), of the ratings of `players`, each relative to its group's mean.
    """

    players: tuple[PlayerRating, ...]
    anchor: str | None
    groups: tuple[tuple[str, ...], ...]
    seat_advantage: tuple[SeatAdvantage, ...]
    payoff: Payoff
    misfit: Misfit
    covariance: NDArray[np.float64] = field(repr=False)

    def __getitem__(self, name: str) -> PlayerRating:
        return self.players[self._index(name)]

    def difference(self, first: str, second: str) -> Interval:
        """Return how many Elo points the first player is above the second, with its interval.

        It is narrower than the two players' own intervals suggest, which hold for the difference to
        the anchor. NaN for players of different groups.

        Raises:
            UnknownNameError: there is no such player.
        """
        one, two = self._index(first), self._index(second)
        if self.players[one].group != self.players[two].group:
            return Interval(math.nan, math.nan, math.nan)
        rating = self.players[one].rating - self.players[two].rating
        contrast = np.zeros(len(self.players))
        contrast[one] += 1
        contrast[two] -= 1
        half = NORMAL_95 * math.sqrt(max(0.0, float(contrast @ self.covariance @ contrast)))
        return Interval(rating, rating - half, rating + half)

    def expected(self, first: str, second: str) -> float:
        """Return the probability that the first player beats the second, a tie being half.

        Seats are left out: it is the mean over the two ways to seat them, if the advantage is
        small. NaN for players of different groups.

        Raises:
            UnknownNameError: there is no such player.
        """
        return 1 / (1 + math.exp(-self.difference(first, second).rating / ELO))

    def rows(self) -> list[dict[str, str | float | int]]:
        """Return a dictionary per player, best first, for a table."""
        return [asdict(player) for player in self.players]

    def to_json(self) -> dict[str, Any]:
        """Return everything as dictionaries, lists, numbers and None, for `json.dumps`."""
        matrices = {
            name: getattr(self.payoff, name).tolist() for name in ("score", "games", "low", "high")
        }
        values = {
            "anchor": self.anchor,
            "groups": [list(group) for group in self.groups],
            "players": self.rows(),
            "seat_advantage": [asdict(seat) for seat in self.seat_advantage],
            "payoff": {"players": list(self.payoff.players), **matrices},
            "misfit": asdict(self.misfit),
        }
        return _without_nan(values)

    def _index(self, name: str) -> int:
        names = self.payoff.players
        if name not in names:
            raise UnknownNameError(
                f"There is no player {name!r}.{suggestion(name, names)} "
                f"Players: {', '.join(names)}."
            )
        return names.index(name)


def _without_nan(value: Any) -> Any:
    """Return JSON's null for NaN, which JSON does not have."""
    if isinstance(value, dict):
        return {key: _without_nan(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(each) for each in value]
    return None if isinstance(value, float) and math.isnan(value) else value
