"""Ends and rewards of a native game, by MiniHack's own methods and reward manager."""

import copy
import functools
from typing import Any

from minihack import reward_manager as managers
from minihack.base import MiniHack
from minihack.envs.exploremaze import stairs_reward_function

from pufferlib.annotations import Array
from pufferlib.registry._nethack_batch_plain import ABORTED, DEATH

# All that those methods and `_EVENTS` read.
READ = ("chars", "blstats", "message", "internal", "screen_descriptions")
_COMPARED = ("chars", "blstats")  # with those of the step before
_EVENTS = (
    managers.CoordEvent,
    managers.LocActionEvent,
    managers.LocEvent,
    managers.MessageEvent,
)
_METHODS = ("_is_episode_end", "_reward_fn")
# Arguments of MiniHack that need a judge, and their defaults, which need none.
_DEFAULTS = {
    "reward_manager": None,
    "penalty_mode": "constant",
    "penalty_step": -0.01,
    "penalty_time": 0.0,
    "reward_win": 1,
    "reward_lose": 0,
}


def needs_judge(game: Any) -> bool:
    """Return whether the end or the reward is another than MiniHack's default."""
    return any(getattr(game, name) != value for name, value in _DEFAULTS.items()) or any(
        getattr(type(game), name) is not getattr(MiniHack, name) for name in _METHODS
    )


def unknown_rewards(manager: Any) -> str | None:
    """Return what a reward manager has that may read more than there is, in words."""
    if manager is None:
        return None
    if type(manager) is not managers.RewardManager:
        return f"has a reward manager of type {type(manager).__name__}"
    for event in manager.events:
        if type(event) not in _EVENTS:
            return f"has an event of type {type(event).__name__}"
    for function in manager.custom_reward_functions:
        if function is not stairs_reward_function:
            return f"has a reward function, {getattr(function, '__name__', function)}"
    return None


class Judge:
    """Computes the reward and the end of the episode of one native game.

    Asks a copy of an environment of MiniHack, which sees the arrays that the game writes into.

    Args:
        game: the environment; used as a pattern.
        arrays: those of `READ`, by name.
    """

    def __init__(self, game: Any, arrays: dict[str, Array]) -> None:
        self._game = copy.copy(game)
        self._game.nethack = None  # is closed
        self._game.reward_manager = copy.deepcopy(game.reward_manager)
        self._game.actions = range(256)  # the keys themselves
        self._game.screen_contains = functools.partial(is_described, arrays["screen_descriptions"])
        keys = game._observation_keys
        self._observation = tuple(arrays[key] if key in READ else None for key in keys)
        self._game.last_observation = self._observation
        before = {key: arrays[key].copy() for key in _COMPARED}
        self._game._previous_obs = tuple(before.get(key) for key in keys)
        self._compared = [(before[key], arrays[key]) for key in _COMPARED]

    def begin(self) -> None:
        """Begin an episode, as the wrapper `NetHackEpisode` and `reset` of MiniHack and NLE do."""
        game = self._game
        game._frozen_steps, game._previous_action = 0, None
        if game.reward_manager is not None:
            game.reward_manager.reset()
        self._remember()
        game._is_episode_end(self._observation)  # events look at the first screen, too

    def end(self, key: int, is_over: bool, is_cut: bool) -> int:
        """Return the status after a step, as `NLE._get_end_status` does."""
        self._game._previous_action = key
        status = ABORTED if is_cut else self._game._is_episode_end(self._observation)
        return DEATH if is_over else int(status)

    def reward(self, status: int) -> float:
        """Return the reward of the step."""
        game = self._game
        reward = game._reward_fn(
            game._previous_obs, game._previous_action, self._observation, status
        )
        self._remember()
        return float(reward)

    def _remember(self) -> None:
        for before, array in self._compared:
            before[...] = array


def is_described(descriptions: Array, name: str) -> bool:
    """Return whether a name is in a description of the screen.

    Does what `MiniHack.screen_contains` does, which takes milliseconds.

    Args:
        descriptions: uint8 (21, 79, 80), text that ends with the first zero.
        name: of an object or monster, or a part of it.
    """
    screen, text, width = descriptions.tobytes(), name.encode(), descriptions.shape[-1]
    start = screen.find(text)
    while start >= 0:
        place, end = start - start % width, start + len(text)
        if end <= place + width and b"\0" not in screen[place:end]:
            return True
        start = screen.find(text, start + 1)
    return False
