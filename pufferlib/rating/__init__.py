"""Games that were played, and how strong their players are."""

from pufferlib.rating.games import Game, append_games, read_games

__all__ = ["Game", "append_games", "read_games"]
