"""Many Atari games as one native environment, over ALE's own threads."""

from typing import Any

import ale_py
import gymnasium
import numpy as np
from ale_py.vector_env import AtariVectorEnv
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from pufferlib.annotations import Array, Kwargs
from pufferlib.cores import usable_threads
from pufferlib.environment import Buffers, Info, PufferEnv, StepResult

_LARGEST_SEED = 2**31 - 1


class AtariGames(PufferEnv):
    """Games of one task, each a row, played at once.

    ALE makes the frames. The stack is kept here, so it starts as the stack of a single game does.

    Args: as of `pufferlib.registry.atari.make_env`.
        name: the task.
        num_envs: how many games.
        num_threads: that play them; None: one a usable core, in a worker of a vectorizer one, and
            at most `num_envs`.
        game: options of the games, as `AtariVectorEnv` takes them.
        buffers: rows to write into; allocated here if None.
    """

    def __init__(
        self,
        name: str,
        num_envs: int,
        num_threads: int | None,
        game: Kwargs,
        frame_skip: int,
        frame_stack: int,
        screen_size: int,
        noop_max: int,
        fire_on_reset: bool,
        episodic_life: bool,
        clip_rewards: bool,
        buffers: Buffers | None = None,
    ) -> None:
        self._games: Any = AtariVectorEnv(
            gymnasium.spec(name).kwargs["game"],
            num_envs,
            num_threads=num_threads or min(num_envs, usable_threads()),
            autoreset_mode=AutoresetMode.SAME_STEP,
            img_height=screen_size,
            img_width=screen_size,
            stack_num=1,
            frameskip=frame_skip,
            maxpool=frame_skip > 1,
            noop_max=noop_max,
            use_fire_reset=fire_on_reset,
            reward_clipping=False,
            **game,
        )
        shape = (frame_stack, screen_size, screen_size)
        self.single_observation_space = gymnasium.spaces.Box(0, 255, shape, np.uint8)
        self.single_action_space = self._games.single_action_space
        self.num_agents = num_envs
        self._episodic_life, self._clip_rewards = episodic_life, clip_rewards
        pressed = [*self._games.ale.get_action_set()]
        has_fire = fire_on_reset and ale_py.Action.FIRE in pressed
        self._fire = pressed.index(ale_py.Action.FIRE) if has_fire else None
        self._serves = np.zeros(num_envs, np.bool_)  # games of which a life has just begun
        self._returns, self._lengths = np.zeros(num_envs), np.zeros(num_envs, np.int64)
        self._lives = np.zeros(num_envs, np.int64)
        self._random: np.random.Generator | None = None
        super().__init__(buffers)

    def reset(self, seed: int | None = None) -> tuple[Array, list[Info]]:
        """Start a new episode in every game; return (observations, []).

        Args:
            seed: each game draws its own from it, once.
        """
        if seed is not None or self._random is None:
            self._random = np.random.default_rng(seed)
        seeds = self._random.integers(_LARGEST_SEED, size=self.num_agents)
        frames, info = self._games.reset(seed=seeds)
        self.observations[:] = frames
        self.rewards[:], self.terminals[:], self.truncations[:] = 0, False, False
        self.masks[:] = True
        self._returns[:], self._lengths[:], self._lives[:] = 0, 0, info["lives"]
        self._serves[:] = False
        return self.observations, []

    def step(self, actions: Array) -> StepResult:
        """Step all games; return (observations, rewards, terminals, truncations, infos)."""
        if self._fire is not None:
            actions = np.where(self._serves, self._fire, actions)
        frames, rewards, terminals, truncations, info = self._games.step(actions)
        self._returns += rewards
        self._lengths += 1
        self.rewards[:] = np.sign(rewards) if self._clip_rewards else rewards
        self.terminals[:], self.truncations[:] = terminals, truncations & ~terminals
        self.observations[:, :-1] = self.observations[:, 1:]
        over = np.flatnonzero(terminals | truncations)
        infos = self._end_games(over, frames, info) if len(over) else []
        self.observations[:, -1] = frames[:, 0]
        self._end_lives(over, info["lives"])
        return self.observations, self.rewards, self.terminals, self.truncations, infos

    def close(self) -> None:
        """End the threads."""
        self._games.close()
        self._games.ale = None

    def _end_games(self, over: NDArray[np.intp], frames: Array, info: Info) -> list[Info]:
        """Write the last observations of games that are over; start the stacks of the next."""
        self.final_observations[over, :-1] = self.observations[over, :-1]
        self.final_observations[over, -1] = info["final_obs"][over, 0]
        self.observations[over] = frames[over]
        infos = [
            {"episode_return": float(self._returns[i]), "episode_length": int(self._lengths[i])}
            for i in over
        ]
        self._returns[over], self._lengths[over] = 0, 0
        return infos

    def _end_lives(self, over: NDArray[np.intp], lives: Array) -> None:
        """Record where a life is lost; some games stay at zero lives until they are over."""
        is_lost = (lives > 0) & (lives < self._lives)
        is_lost[over] = False
        self._lives[:], self._serves[:] = lives, is_lost
        if self._episodic_life:
            self.terminals |= is_lost
            self.final_observations[is_lost] = self.observations[is_lost]
