"""One Atari game with the usual preprocessing: no-ops, frame skip, a stack of gray frames."""

from typing import Any

import ale_py
import cv2
import gymnasium
import numpy as np
from numpy.typing import NDArray

from pufferlib.annotations import Action, GymnasiumEnv, GymnasiumWrapper, Options
from pufferlib.environment import Info


class AtariGame(GymnasiumWrapper, gymnasium.utils.RecordConstructorArgs):
    """Observe the last frames of an `ale_py` environment and report its games in `info`.

    Args: as of `pufferlib.registry.atari.make_env`.
        env: made with `frameskip=1`.
    """

    def __init__(
        self,
        env: GymnasiumEnv,
        frame_skip: int,
        frame_stack: int,
        screen_size: int,
        noop_max: int,
        fire_on_reset: bool,
        episodic_life: bool,
        clip_rewards: bool,
    ) -> None:
        gymnasium.utils.RecordConstructorArgs.__init__(
            self,
            frame_skip=frame_skip,
            frame_stack=frame_stack,
            screen_size=screen_size,
            noop_max=noop_max,
            fire_on_reset=fire_on_reset,
            episodic_life=episodic_life,
            clip_rewards=clip_rewards,
        )
        gymnasium.Wrapper.__init__(self, env)
        game: Any = env.unwrapped
        self._actions = [getattr(ale_py.Action, meaning) for meaning in game.get_action_meanings()]
        self._frame_skip, self._noop_max = frame_skip, noop_max
        self._presses_fire = fire_on_reset and ale_py.Action.FIRE in self._actions
        self._episodic_life, self._clip_rewards = episodic_life, clip_rewards
        screen = game.observation_space.shape[:2]
        self._last, self._last_but_one = np.zeros(screen, np.uint8), np.zeros(screen, np.uint8)
        self._size = (screen_size, screen_size)
        self._stack = np.zeros((frame_stack, *self._size), np.uint8)
        self.observation_space = gymnasium.spaces.Box(0, 255, self._stack.shape, np.uint8)
        self._return, self._length, self._lives = 0.0, 0, 0
        self._is_next_life = self._serves = False

    @property
    def _ale(self) -> Any:
        game: Any = self.env.unwrapped
        return game.ale

    def reset(
        self, *, seed: int | None = None, options: Options | None = None
    ) -> tuple[NDArray[np.uint8], Info]:
        """Start a game, or the next life of this one; return (observation, {})."""
        if seed is not None or not self._is_next_life:
            self._start_game(seed, options)
        self._is_next_life = False
        return self._stack.copy(), {}

    def step(self, action: Action) -> tuple[NDArray[np.uint8], float, bool, bool, Info]:
        """Take one step; return (observation, reward, terminated, truncated, info)."""
        pressed = ale_py.Action.FIRE if self._serves else self._actions[action]
        reward, terminated, truncated = self._act(pressed)
        self._stack[:-1] = self._stack[1:]
        self._stack[-1] = self._frame()
        self._return += reward
        self._length += 1
        info: Info = {}
        if terminated or truncated:
            info = {"episode_return": self._return, "episode_length": self._length}
        is_lost = not info and self._has_lost_life()
        self._serves = self._presses_fire and is_lost
        if self._episodic_life and is_lost:
            terminated = self._is_next_life = True
        if self._clip_rewards:
            reward = float(np.sign(reward))
        return self._stack.copy(), reward, terminated, truncated, info

    def _start_game(self, seed: int | None, options: Options | None) -> None:
        self.env.reset(seed=seed, options=options)
        for _ in range(self._draw_noops()):
            self._ale.act(ale_py.Action.NOOP)
            if self._ale.game_over():
                self.env.reset()
        if self._presses_fire:
            self._ale.act(ale_py.Action.FIRE)
        self._ale.getScreenGrayscale(self._last)
        self._last_but_one.fill(0)
        self._stack[:] = self._frame()
        self._return, self._length, self._lives = 0.0, 0, self._ale.lives()
        self._serves = False

    def _draw_noops(self) -> int:
        if not self._noop_max:
            return 0
        return int(self.env.unwrapped.np_random.integers(1, self._noop_max + 1))

    def _act(self, action: Action) -> tuple[float, bool, bool]:
        """Act for some frames and keep the last two; return (reward, terminated, truncated)."""
        ale, reward = self._ale, 0.0
        for remaining in reversed(range(self._frame_skip)):
            reward += ale.act(action)
            if ale.game_over():  # the frames seen before stay, as in AtariPreprocessing
                terminated = ale.game_over(with_truncation=False)
                return reward, terminated, not terminated
            if remaining == 1:
                ale.getScreenGrayscale(self._last_but_one)
            elif remaining == 0:
                ale.getScreenGrayscale(self._last)
        return reward, False, False

    def _frame(self) -> NDArray[np.uint8]:
        if self._frame_skip > 1:
            np.maximum(self._last, self._last_but_one, out=self._last)
        frame: Any = cv2.resize(self._last, self._size, interpolation=cv2.INTER_AREA)
        return frame

    def _has_lost_life(self) -> bool:
        """Return whether a life is lost; some games stay at zero lives until they are over."""
        before, self._lives = self._lives, self._ale.lives()
        return bool(0 < self._lives < before)
