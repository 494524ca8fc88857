"""Games that were played, and how strong their players are: ratings with intervals."""

from pufferlib.rating.fitting import fit
from pufferlib.rating.games import Game, append_games, read_games
from pufferlib.rating.picture import draw
from pufferlib.rating.ratings import (
    Interval,
    Misfit,
    Payoff,
    PlayerRating,
    Ratings,
    Residual,
    SeatAdvantage,
)

__all__ = [
    "Game",
    "Interval",
    "Misfit",
    "Payoff",
    "PlayerRating",
    "Ratings",
    "Residual",
    "SeatAdvantage",
    "append_games",
    "draw",
    "fit",
    "read_games",
]
