"""Play games: every side's rows act by its player, and every result goes to who played it."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pufferlib.annotations import Array
from pufferlib.exceptions import ActionError
from pufferlib.matches.schedule import Fixture
from pufferlib.rating import Game
from pufferlib.rating.games import ranks_of
from pufferlib.selfplay import Player
from pufferlib.selfplay.scripted import PlayError, idle_action
from pufferlib.selfplay.sides import side_returns
from pufferlib.vector import VectorEnv

Record = Callable[[list[Game]], None]


def play_games(
    vecenv: VectorEnv,
    fixtures: Sequence[Fixture],
    players: Mapping[str, Player],
    sides: Sequence[int],
    task: str,
    record: Record,
) -> None:
    """Play games, several at once; a game that ends makes room for the next.

    A game is over when the episode that it began with has ended for all agents that acted in it,
    also those that wait for their turn. An agent that dies early has its return up to there. Agents
    that take no part do not count towards the mean of their side.

    Args:
        vecenv: synchronous, autoreset="same_step", its environments of len(sides) agents.
        fixtures: the games.
        players: by name.
        sides: of each agent of an environment.
        task: the name of the environment, for the record.
        record: gets games as they end, those of one step together.

    Raises:
        ActionError: a player failed, or chose an action that is not legal.
    """
    _Boards(vecenv, fixtures, players, sides, task).play(record)


class _Boards:
    """The environments, and the game that each plays.

    An environment without a game is idle: it steps with the others, and nothing of it counts.
    """

    def __init__(
        self,
        vecenv: VectorEnv,
        fixtures: Sequence[Fixture],
        players: Mapping[str, Player],
        sides: Sequence[int],
        task: str,
    ) -> None:
        self._vecenv, self._waiting, self._task = vecenv, deque(fixtures), task
        self._names, self._players = list(players), list(players.values())
        self._sides = np.array(sides)
        num_envs, num_agents = vecenv.num_envs, len(sides)
        self._games: list[Fixture | None] = [None] * num_envs
        self._shape = num_envs, num_agents
        # By environment and agent; owner: which of the players acts.
        self._owner = np.full(self._shape, -1)
        self._playing, self._took_part = np.zeros((2, *self._shape), np.bool_)
        self._starts = np.ones(self._shape, np.bool_)
        self._returns = np.zeros(self._shape)
        self._steps = np.zeros(num_envs, np.int64)
        self._idle_action = idle_action(vecenv.single_action_space)

    def play(self, record: Record) -> None:
        """Play all games."""
        free = list(range(len(self._games)))
        while True:
            self._begin(free)
            if not any(self._games):
                return
            free = self._step()
            ended = [self._result(env) for env in free]
            if ended:
                record(ended)

    def _begin(self, free: Sequence[int]) -> None:
        """Let environments play the next games; those for which there is none become idle."""
        seeds: list[int | None] = [None] * len(self._games)
        reset = np.zeros(len(self._games), np.bool_)
        for env in free:
            game = self._games[env] = self._waiting.popleft() if self._waiting else None
            self._playing[env] = game is not None
            self._took_part[env], self._returns[env], self._steps[env] = False, 0, 0
            if game is not None:
                seeds[env], reset[env] = game.seed, True
                by_side = np.array([self._names.index(name) for name in game.players])
                self._owner[env], self._starts[env] = by_side[self._sides], True
        if len(free) == len(self._games):
            self._vecenv.async_reset([0 if seed is None else seed for seed in seeds])
        elif reset.any():
            self._vecenv.async_reset(seeds, {"reset_mask": reset})
        else:
            return
        batch = self._vecenv.recv()
        self._observations, self._masks = batch.observations, batch.masks.reshape(self._shape)

    def _step(self) -> list[int]:
        """Take one step; return the environments whose games ended."""
        active, was_there = self._playing & self._masks, self._masks.copy()
        self._vecenv.send(self._actions(active.ravel()))
        batch = self._vecenv.recv()
        self._observations, self._masks = batch.observations, batch.masks.reshape(self._shape)
        ends = (batch.terminals | batch.truncations).reshape(self._shape)
        self._took_part |= active
        # Who waits for its turn without a row still has the end of its episode in it.
        counted = active | (self._playing & self._took_part & ends)
        self._returns[counted] += batch.rewards.reshape(self._shape)[counted]
        self._steps += 1
        self._playing &= ~(counted & ends)
        self._starts = ends | (self._starts & ~was_there)  # who waits, masked, goes on
        # Agents that wait to join do so while others of their game play on, or not at all.
        is_over: NDArray[np.bool_] = ~np.any(self._took_part & self._playing, axis=1)
        return [env for env, game in enumerate(self._games) if game and is_over[env]]

    def _actions(self, active: NDArray[np.bool_]) -> Array:
        actions = np.stack([self._idle_action] * len(active))
        owner, starts = self._owner.ravel(), self._starts.ravel()
        for number, player in enumerate(self._players):
            rows = np.flatnonzero(active & (owner == number))
            if len(rows) == 0:
                continue
            try:
                actions[rows] = player.act(self._observations[rows], starts[rows], rows)
            except PlayError as error:
                raise self._failure(error) from error.__cause__
        return actions

    def _failure(self, error: PlayError) -> ActionError:
        env, agent = divmod(error.row, self._shape[1])
        game, side = self._games[env], int(self._sides[agent])
        assert game is not None
        return ActionError(
            f"The player {game.players[side]} failed as side {side} (agent {agent}) of the game "
            f"with seed {game.seed}, in step {self._steps[env] + 1}: {error}"
        )

    def _result(self, env: int) -> Game:
        game = self._games[env]
        assert game is not None
        returns = side_returns(self._returns[env], self._took_part[env], self._sides)
        return Game(
            self._task,
            game.players,
            tuple(returns),
            ranks_of(returns),
            int(self._steps[env]),
            game.seed,
        )
