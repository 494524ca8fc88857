"""Make a game of Stable Retro, with frame skip; errors say how to import its file."""

import os
from typing import Any

import stable_retro
from stable_retro.data import (
    Integrations,
    get_file_path,
    get_romfile_path,
    list_games,
    list_scenarios,
    list_states,
)

from pufferlib.annotations import Action, GymnasiumEnv, GymnasiumStep, GymnasiumWrapper
from pufferlib.arguments import whole_number
from pufferlib.exceptions import ArgumentError, NotInstalledError, UnknownNameError, suggestion


def made(game: str, **kwargs: Any) -> GymnasiumEnv:
    """Return a game.

    Raises:
        UnknownNameError: Stable Retro knows no such game.
        NotInstalledError: the game's file has not been imported.
        ArgumentError: the game has no such state, scenario or info, or this process has an
            environment already.
    """
    kinds = kwargs.get("inttype", Integrations.DEFAULT)
    games = list_games(kinds)
    if game not in games:
        raise UnknownNameError(f"Stable Retro knows no game {game!r}.{suggestion(game, games)}")
    try:
        get_romfile_path(game, kinds)
    except FileNotFoundError as error:
        raise NotInstalledError(
            f"The file of {game} has not been imported. If you own the game, run: "
            f"python -m stable_retro.import DIRECTORY, with the directory it is in."
        ) from error
    for option, ending, known in (
        ("state", ".state", list_states(game, kinds)),
        ("scenario", ".json", list_scenarios(game, kinds)),
        ("info", ".json", ["data"]),
    ):
        _check_file(game, option, ending, known, kwargs.get(option), kinds)
    try:
        env: GymnasiumEnv = stable_retro.make(game, **kwargs)
    except RuntimeError as error:
        if "multiple emulator instances" not in str(error):
            raise
        raise ArgumentError(
            "Stable Retro runs one environment in a process, and this one already has one. "
            "Close it first, or vectorize with backend Multiprocessing and num_workers=num_envs."
        ) from error
    return env


def _check_file(
    game: str, option: str, ending: str, known: list[str], name: object, kinds: Integrations
) -> None:
    """Raise if a named file does not exist; the package would play without a scenario."""
    if not isinstance(name, str):  # None and State.NONE name no file
        return
    is_path = option != "state" and name.endswith(ending)
    file = name if name.endswith(ending) else name + ending
    found = file if is_path else get_file_path(game, file, kinds)
    if found is None or not os.path.isfile(found):
        raise ArgumentError(
            f"{game} has no {option} {name!r}.{suggestion(name, known)} It has: {', '.join(known)}."
        )


class Skip(GymnasiumWrapper):
    """Repeat each action for a number of frames, and sum the rewards.

    Args:
        env: the game.
        frames: how often.
    """

    def __init__(self, env: GymnasiumEnv, frames: int) -> None:
        super().__init__(env)
        self._frames = whole_number("frame_skip", frames)

    def step(self, action: Action) -> GymnasiumStep:
        """Take one step; return (observation, reward, terminated, truncated, info)."""
        total = 0.0
        for _ in range(self._frames):
            observation, reward, terminated, truncated, info = self.env.step(action)
            total += float(reward)
            if terminated or truncated:
                break
        return observation, total, bool(terminated), bool(truncated), info
