"""Self-play: play against the past, and against others."""

from pufferlib.selfplay.players import NetworkPlayer, Player, RandomPlayer

__all__ = ["NetworkPlayer", "Player", "RandomPlayer"]
