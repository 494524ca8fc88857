"""Many games of Slime Volleyball against its author's player as one native environment."""

import gymnasium
import numpy as np
from gymnasium.utils.seeding import np_random

from pufferlib.annotations import Array
from pufferlib.emulation.actions import ActionLayout
from pufferlib.emulation.layout import Layout
from pufferlib.environment import Buffers, Info, PufferEnv, StepResult
from pufferlib.exceptions import CallOrderError
from pufferlib.registry._slimevolley_courts import LEFT, RIGHT, Baselines, Courts, Rows, scaled
from pufferlib.registry._slimevolley_env import state_space


class SlimeGames(PufferEnv):
    """Games on the right side against the package's built-in opponent, each a row, stepped at once.

    Args:
        num_envs: how many games.
        max_steps: a game is truncated after so many.
        buffers: rows to write into; allocated here if None.

    Attributes:
        observation_layout: how an observation lies in its row; `unflatten` gives it back.
        action_layout: the same for actions.
        survival_reward: added in each step of the games that begin from now on.
    """

    survival_reward: float = 0.0

    def __init__(self, num_envs: int, max_steps: int, buffers: Buffers | None = None) -> None:
        self.observation_layout = Layout.of(state_space())
        self.action_layout = ActionLayout.of(gymnasium.spaces.MultiBinary(3))
        self.single_observation_space = self.observation_layout.space
        self.single_action_space = self.action_layout.space
        self.num_agents = self.num_seeds = num_envs
        self._max_steps = max_steps
        self._courts, self._opponents = Courts(num_envs), Baselines(num_envs)
        self._returns, self._lengths = np.zeros(num_envs), np.zeros(num_envs, np.int64)
        self._survival_rewards = np.zeros(num_envs)  # of the games that have begun
        self._is_playing = False  # they have been reset
        super().__init__(buffers)

    def reset(self, seed: int | None = None) -> tuple[Array, list[Info]]:
        """Start a new game on every court; return (observations, []).

        Args:
            seed: of the first game, from which the others count; of this game and those after.

        Raises:
            gymnasium.error.Error: `seed` is negative.
        """
        if seed is not None:
            self._courts.generators = [
                np_random(seed + index)[0] for index in range(self.num_agents)
            ]
        self._begin(np.arange(self.num_agents))
        self.observations[:] = scaled(self._courts.seen[RIGHT])
        self.rewards[:], self.terminals[:], self.truncations[:] = 0, False, False
        self.masks[:] = True
        self._is_playing = True
        return self.observations, []

    def step(self, actions: Array) -> StepResult:
        """Step all games; return (observations, rewards, terminals, truncations, infos).

        Raises:
            CallOrderError: before `reset`.
        """
        if not self._is_playing:
            raise CallOrderError("step before reset. Call reset first.")
        courts = self._courts
        won = courts.step(self._opponents.act(courts.seen[LEFT]), actions.T > 0)
        rewards = won + self._survival_rewards
        self._returns += rewards
        self._lengths += 1
        self.rewards[:] = rewards
        self.terminals[:] = (courts.lives <= 0).any(0)
        self.truncations[:] = (self._lengths >= self._max_steps) & ~self.terminals
        self.observations[:] = scaled(courts.seen[RIGHT])
        over = np.flatnonzero(self.terminals | self.truncations)
        infos = self._end(over) if len(over) else []
        return self.observations, self.rewards, self.terminals, self.truncations, infos

    def _end(self, over: Rows) -> list[Info]:
        """Write the last observations of games, start the next ones; return their infos."""
        lives = self._courts.lives
        infos: list[Info] = [
            {
                "lives": int(lives[RIGHT, row]),
                "opponent_lives": int(lives[LEFT, row]),
                "episode_return": float(self._returns[row]),
                "episode_length": int(self._lengths[row]),
            }
            for row in over.tolist()
        ]
        self.final_observations[over] = self.observations[over]
        self._begin(over)
        self.observations[over] = scaled(self._courts.seen[RIGHT][:, over])
        return infos

    def _begin(self, rows: Rows) -> None:
        self._courts.reset(rows)
        self._opponents.reset(rows)
        self._returns[rows], self._lengths[rows] = 0, 0
        self._survival_rewards[rows] = self.survival_reward
