"""The score of one player against another."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from pufferlib.rating import Game
from pufferlib.rating.games import RANDOM
from pufferlib.rating.pairs import wilson

PERFECT, MCTS = "perfect", "mcts"
GREEDY = "-greedy"  # at the end of the names of policies that take the most probable actions
_SUSPICIOUS = 10  # as many games that all went alike


@dataclass(frozen=True)
class Score:
    """What a player scored against another: 1 for a win, 0.5 for a tie, 0 for a loss.

    In games where one of them has several sides, all pairs of sides count, together as one game.

    Attributes:
        games: how many.
        points: their sum.
        wins: games with more than half a point.
        ties: games with half a point.
    """

    games: int
    points: float
    wins: int
    ties: int

    @property
    def losses(self) -> int:
        return self.games - self.wins - self.ties

    @property
    def mean(self) -> float:
        """In [0, 1]; NaN without a game."""
        return self.points / self.games if self.games else math.nan

    def interval(self) -> tuple[float, float]:
        """Return the 95% interval of the mean (Wilson 1927); NaN without a game.

        It is for games that are won or lost; ties make it wider than needed.
        """
        games = float(self.games)
        low, high = wilson(np.array(self.mean), np.array(games))
        return float(low), float(high)


def score(games: Iterable[Game], player: str, other: str, side: int | None = None) -> Score:
    """Return what `player` scored against `other` in the games in which both took part.

    Args:
        games: others are ignored.
        player: its name.
        other: the name of the other.
        side: count only what the player did on this side.
    """
    points = []
    for game in games:
        own = [
            index
            for index, name in enumerate(game.players)
            if name == player and side in (None, index)
        ]
        others = [index for index, name in enumerate(game.players) if name == other]
        pairs = [(game.ranks[one], game.ranks[two]) for one in own for two in others]
        if pairs:
            won = sum((one < two) + 0.5 * (one == two) for one, two in pairs)
            points.append(won / len(pairs))
    wins, ties = sum(p > 0.5 for p in points), sum(p == 0.5 for p in points)
    return Score(len(points), sum(points), wins, ties)


def repeated(games: Iterable[Game]) -> list[tuple[str, ...]]:
    """Return the players whose games all went alike, if there are more than a few.

    Greedy policies do not draw their actions, and scripts may not: where the game has no chance
    they repeat it, and intervals are too narrow. Games went alike if the returns and the length are
    the same.

    Returns:
        Tuples of names, by side.
    """
    counts: dict[tuple[str, ...], int] = {}
    kinds: dict[tuple[str, ...], set[tuple[tuple[float, ...], int]]] = {}
    for game in games:
        if not any(_draws(name) for name in game.players):
            counts[game.players] = counts.get(game.players, 0) + 1
            kinds.setdefault(game.players, set()).add((game.returns, game.steps))
    return [
        each for each, count in counts.items() if count >= _SUSPICIOUS and len(kinds[each]) == 1
    ]


def _draws(name: str) -> bool:
    """Return whether a player is known to draw its actions: not of a greedy policy or a script."""
    is_policy = "@" in name and not name.endswith(GREEDY)
    return is_policy or name in (RANDOM, PERFECT) or name.startswith(f"{MCTS}:")
