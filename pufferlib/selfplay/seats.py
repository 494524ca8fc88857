"""Seats: which player has which side of each environment's game, and so which rows."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pufferlib.annotations import StateDict
from pufferlib.rating import Game
from pufferlib.rating.games import ranks_of
from pufferlib.selfplay.sides import side_returns
from pufferlib.vector import Batch

LEARNER = "learner"


class Seats:
    """The lineups of the games in progress, and their returns so far.

    Args:
        sides: of each agent of an environment, the number of its side.
        num_envs: environments, whose rows follow one another.

    Attributes:
        lineups: of each environment, the name of the player of each side.
        learns: bool (rows,), the learner plays the row.
        counts: int64 (environments, sides), finished games of the learner against others, by its
            side.
    """

    def __init__(self, sides: Sequence[int], num_envs: int) -> None:
        self._sides = np.array(sides)
        self.num_sides = max(sides) + 1
        self.lineups: list[tuple[str, ...]] = [(LEARNER,) * self.num_sides] * num_envs
        shape = num_envs, len(sides)
        self.learns = np.ones(num_envs * len(sides), np.bool_)
        self._numbers = {LEARNER: 0}  # of players, by name
        self._players = np.zeros(shape, np.int64)  # by number
        self.counts = np.zeros((num_envs, self.num_sides), np.int64)
        self._returns = np.zeros(shape)
        self._lengths = np.zeros(shape, np.int64)
        self._steps = np.zeros(num_envs, np.int64)
        self._has_ended = np.zeros(shape, np.bool_)

    def next_seat(self, env: int) -> int:
        """Return the learner's side in its next game against others.

        Each environment goes round the sides, and begins at another one than its neighbors, so that
        each side is played equally often. A game that was lost is played again.
        """
        return (env + int(self.counts[env].sum())) % self.num_sides

    def assign(self, env: int, lineup: tuple[str, ...]) -> None:
        """Begin a game between these players, by side."""
        self.lineups[env] = lineup
        numbers = [self._numbers.setdefault(name, len(self._numbers)) for name in lineup]
        self._players[env] = np.array(numbers)[self._sides]
        agents = len(self._sides)
        self.learns[env * agents : (env + 1) * agents] = self._players[env] == 0
        self._returns[env] = self._lengths[env] = self._steps[env] = 0
        self._has_ended[env] = False

    def rows_of(self, rows: slice) -> dict[str, NDArray[np.int64]]:
        """Return where each opponent's rows are among `rows`, counted from their first, by name."""
        if self.learns[rows].all():
            return {}
        numbers = self._players.reshape(-1)[rows]
        names = list(self._numbers)
        return {names[n]: np.flatnonzero(numbers == n) for n in np.unique(numbers).tolist() if n}

    def step(
        self, batch: Batch, acted: NDArray[np.bool_], rows: slice
    ) -> tuple[list[int], list[int]]:
        """Add a step; return the environments whose games have ended, and those that lost theirs.

        A game has ended once the episodes of all agents that acted in it have: agents may leave it
        early, or wait, masked, while others act.
        """
        agents = len(self._sides)
        envs = slice(rows.start // agents, rows.stop // agents)
        acting = acted.reshape(-1, agents)
        ends = (batch.terminals | batch.truncations).reshape(-1, agents)
        self._returns[envs] += np.where(acting, batch.rewards.reshape(-1, agents), 0)
        self._lengths[envs] += acting
        self._steps[envs] += acting.any(1)
        lost = batch.lost.reshape(-1, agents).any(1)
        self._has_ended[envs] |= ends
        plays_on = (self._lengths[envs] > 0) & ~self._has_ended[envs]
        over = ends.any(1) & ~plays_on.any(1) & ~lost
        places = np.arange(envs.start, envs.stop)
        return places[over].tolist(), places[lost].tolist()

    def game(self, env: int, task: str) -> Game:
        """Return the game of an environment that has ended, and count the learner's seat."""
        lineup = self.lineups[env]
        if lineup.count(LEARNER) < len(lineup):
            self.counts[env, lineup.index(LEARNER)] += 1
        returns = side_returns(self._returns[env], self._lengths[env] > 0, self._sides)
        return Game(task, lineup, tuple(returns), ranks_of(returns), int(self._steps[env]))

    def episodes(self, env: int) -> list[dict[str, float]]:
        """Return the return and the length of the episode of each of the learner's agents."""
        agents = len(self._sides)
        own = self.learns[env * agents : (env + 1) * agents] & (self._lengths[env] > 0)
        pairs = zip(self._returns[env, own], self._lengths[env, own], strict=True)
        return [
            {"episode_return": float(returned), "episode_length": float(length)}
            for returned, length in pairs
        ]

    def state_dict(self) -> StateDict:
        """Return what a checkpoint keeps: not the games in progress."""
        return {"counts": self.counts.tolist()}

    def load_state_dict(self, state: StateDict) -> None:
        """Continue from `state_dict`; of another number of environments, begin to count again."""
        counts = np.array(state["counts"], np.int64)
        self.counts[:] = counts if counts.shape == self.counts.shape else 0
