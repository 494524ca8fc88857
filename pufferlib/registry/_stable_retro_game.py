"""A game of Stable Retro: found or told how to import, its frames skipped."""

from typing import Any, SupportsFloat

import gymnasium
import stable_retro
from stable_retro.data import Integrations, get_romfile_path, list_games

from pufferlib.environment import Info
from pufferlib.exceptions import ArgumentError, NotInstalledError, UnknownNameError, suggestion


def made(game: str, **kwargs: Any) -> gymnasium.Env[Any, Any]:
    """Return a game.

    Raises:
        UnknownNameError: Stable Retro knows no such game.
        NotInstalledError: it knows it, and its file has not been imported.
        ArgumentError: this process has an environment already.
    """
    kinds = kwargs.get("inttype", Integrations.DEFAULT)
    known = list_games(kinds)
    if game not in known:
        raise UnknownNameError(f"Stable Retro knows no game {game!r}.{suggestion(game, known)}")
    try:
        get_romfile_path(game, kinds)
    except FileNotFoundError as error:
        raise NotInstalledError(
            f"The file of {game} has not been imported. If you own the game, run: "
            f"python -m stable_retro.import DIRECTORY, with the directory it is in."
        ) from error
    try:
        env: gymnasium.Env[Any, Any] = stable_retro.make(game, **kwargs)
    except RuntimeError as error:
        if "multiple emulator instances" not in str(error):
            raise
        raise ArgumentError(
            "Stable Retro runs one environment in a process, and this one has it already. Close "
            "that one first, or vectorize with backend Multiprocessing and num_workers=num_envs."
        ) from error
    return env


class Skip(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Repeat each action for a number of frames, and add up their rewards.

    Args:
        env: the game.
        frames: how often.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], frames: int) -> None:
        super().__init__(env)
        if frames < 1:
            raise ArgumentError(f"frame_skip must be at least 1; got {frames}.")
        self._frames = frames

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, Info]:
        """Take one step; return (observation, reward, terminated, truncated, info)."""
        total = 0.0
        for _ in range(self._frames):
            observation, reward, terminated, truncated, info = self.env.step(action)
            total += float(reward)
            if terminated or truncated:
                break
        return observation, total, bool(terminated), bool(truncated), info
