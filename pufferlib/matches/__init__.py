"""Matches between players: of trained runs, random, scripted, and those of game libraries."""

from pufferlib.matches.match import play
from pufferlib.matches.ranking import Ranking, rank
from pufferlib.matches.score import Score, score

__all__ = ["Ranking", "Score", "play", "rank", "score"]
