"""Ratings with their intervals, the payoff matrix and the misfit of games."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pufferlib.exceptions import UnknownNameError, suggestion
from pufferlib.rating.posterior import ELO, Interval, Posterior


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


@dataclass(frozen=True, eq=False)
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

    With more than two sides `chi_square` is approximate: the pairs of a game are not independent.

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

    @property
    def poor(self) -> bool:
        """Whether ratings cannot describe the games: not by chance, and by 5 points in 100 games.

        Then the payoff matrix says who beats whom; look there for cycles.
        """
        return self.p_value < 0.01 and self.deviation >= 0.05

    def __str__(self) -> str:
        if not self.poor:
            return "Ratings describe these games."
        worst = self.residuals[0]
        return (
            f"Ratings cannot describe these games: {worst.first} scored {worst.score:.2f} in "
            f"{worst.games} games against {worst.second}, where the ratings expect "
            f"{worst.expected:.2f}. See who beats whom in the payoff matrix."
        )


@dataclass(frozen=True, eq=False)
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
        posterior: what was fitted.
        index: where it has each player.
    """

    players: tuple[PlayerRating, ...]
    anchor: str | None
    groups: tuple[tuple[str, ...], ...]
    seat_advantage: tuple[SeatAdvantage, ...]
    payoff: Payoff
    misfit: Misfit
    posterior: Posterior = field(repr=False)
    index: Mapping[str, int] = field(repr=False)

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
        contrast = np.zeros(len(self.posterior.mode))
        contrast[self.index[first]] += 1
        contrast[self.index[second]] -= 1
        return self.posterior.interval(contrast)

    def expected(self, first: str, second: str) -> float:
        """Return the score that the first player should have against the second, in [0, 1].

        It is the probability of a win, a tie being half, where no seat has an advantage. NaN for
        players of different groups.

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
