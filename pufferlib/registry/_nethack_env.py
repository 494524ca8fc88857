"""A wrapper for NLE and MiniHack environments: seeds, time limits, statistics."""

import contextlib
import functools
import os
import warnings
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Dict

from pufferlib.annotations import (
    Action,
    AnySpace,
    Array,
    GymnasiumEnv,
    GymnasiumReset,
    GymnasiumStep,
    GymnasiumWrapper,
    Observation,
    Options,
    Rendered,
)
from pufferlib.environment import Info
from pufferlib.exceptions import ArgumentError, suggestion

# Positions in blstats, from nle.nethack: NLE_BL_SCORE, NLE_BL_DEPTH, NLE_BL_XP, NLE_BL_TIME.
_SCORE, _DEPTH, _EXPERIENCE_LEVEL, _TURNS = 9, 12, 18, 20
SINGLE = (
    "Use num_envs=None, on the command line --env.kwargs.num-envs None, for environments of one "
    "game played by NLE; the vectorizer's num_envs, --vec.num-envs, is then the number of games."
)
LARGEST_SEED = 2**31 - 1
# Of roles, races, genders and alignments, whose beginnings NetHack knows too (its role.c).
_CHARACTERS = (
    *("archeologist", "barbarian", "caveman", "cavewoman", "healer", "knight", "monk", "priest"),
    *("priestess", "rogue", "ranger", "samurai", "tourist", "valkyrie", "wizard"),
    *("human", "elf", "dwarf", "gnome", "orc", "male", "female", "lawful", "neutral", "chaotic"),
    *("@", "*", "random"),
)
# Above these sizes, in bytes, they are emptied: the list of high scores before each game, the logs,
# to which a game adds some 370 bytes, seldom.
_LARGEST_RECORDS = {"record": 0, "logfile": 100_000, "xlogfile": 100_000}
_LONGEST_CHARACTER = 25  # PL_NSIZ less "Agent-" and the end of the text


def check_character(character: str) -> None:
    """Raise for a character that NetHack does not know and would silently ignore.

    Raises:
        ArgumentError: suggests the nearest.
    """
    how = (
        "Give role-race-alignment-gender, such as 'mon-hum-neu-mal' or 'valkyrie-dwarf', leave out "
        "what may be any, or give '@' for any character."
    )
    for word in character.lower().split("-"):
        if not word or not any(name.startswith(word) for name in _CHARACTERS):
            raise ArgumentError(
                f"NetHack knows no {word!r} in character={character!r}."
                f"{suggestion(word, _CHARACTERS)} {how}"
            )
    if len(character) > _LONGEST_CHARACTER:
        raise ArgumentError(
            f"NetHack reads the first {_LONGEST_CHARACTER} characters of character={character!r}; "
            f"got {len(character)}. {how}"
        )


def check_native_arguments(
    render_mode: str | None, kwargs: Mapping[str, object], known: Sequence[str]
) -> None:
    """Refuse arguments of `make_env` that a native environment does not take.

    Raises:
        ArgumentError: says which, and what is taken.
    """
    if render_mode is not None:
        raise ArgumentError(
            f"render_mode must be None with num_envs; got render_mode={render_mode!r}. {SINGLE}"
        )
    unknown = [name for name in kwargs if name not in known]
    if unknown:
        raise ArgumentError(
            f"With num_envs, these arguments are taken: observation_keys, share_library, "
            f"{', '.join(known)}; got {unknown[0]}={kwargs[unknown[0]]!r}. {SINGLE}"
        )


def empty_records(directory: str) -> None:
    """Empty what earlier games of one instance recorded; called before each game.

    The files must be the instance's own: NetHack locks them at the end of each game, and where
    another process has the lock it sleeps for a second. So they cannot be links to /dev/null.
    """
    for name, largest in _LARGEST_RECORDS.items():
        path = os.path.join(directory, name)
        # NLE keeps the xlogfile with its recordings, if it makes any.
        with contextlib.suppress(FileNotFoundError):
            if os.stat(path).st_size > largest:
                os.truncate(path, 0)


class NetHackEpisode(GymnasiumWrapper, gymnasium.utils.RecordConstructorArgs):
    """Seed NetHack's generators, report time limits as truncations, and add statistics.

    `reset(seed=)` of NLE seeds Gymnasium's generator only. NetHack has three more (core, display,
    level); here one generator, seeded once, draws their seeds for every episode. Without a seed
    NetHack seeds itself.

    The last screen of a game ranks it among the earlier games of the same instance. No list is
    kept, so an observation depends on the seed alone; the logs are emptied before they grow large.

    NLE reports its time limit as terminated, with `end_status` ABORTED; here it is a truncation.
    Gymnasium's limit reports a death on the very last step as both; here it is a death.

    Where NLE ends an episode in the middle of a game, it quits the game and returns an empty
    screen; here it returns the screen of the last step. A game that is reset in the middle is quit
    too, since NetHack would not free its memory.

    MiniGrid's generator, which draws MiniHack's MiniGrid rooms, is seeded too.

    Args:
        env: an NLE or MiniHack environment.
        is_seedable: False for NetHackChallenge, which refuses seeds.
        observation_keys: the observations to return; the others only serve rendering. All if None.
    """

    def __init__(
        self,
        env: GymnasiumEnv,
        is_seedable: bool = True,
        observation_keys: tuple[str, ...] | None = None,
    ) -> None:
        gymnasium.utils.RecordConstructorArgs.__init__(
            self, is_seedable=is_seedable, observation_keys=observation_keys
        )
        gymnasium.Wrapper.__init__(self, env)
        self._keys = observation_keys
        if observation_keys is not None:
            space: AnySpace = env.observation_space
            self.observation_space = Dict({key: space[key] for key in observation_keys})
        self._is_seedable = is_seedable
        game: Any = env.unwrapped
        self._game = game
        game._quit_game = functools.partial(_quit_and_show_what_was, weakref.ref(game))
        self._running, self._aborted = game.StepStatus.RUNNING, game.StepStatus.ABORTED
        self._successful = getattr(game.StepStatus, "TASK_SUCCESSFUL", None)
        self._generator: np.random.Generator | None = None
        self._blstats = np.zeros(27, np.int64)
        self._depth = 0
        self._is_running = False

    def reset(self, *, seed: int | None = None, options: Options | None = None) -> GymnasiumReset:
        """Start a game; return (observation, info).

        Args:
            seed: of this game and those after it.
            options: those of NLE: `wizkit_items`, for a game in wizard mode.
        """
        if seed is not None and self._is_seedable:
            self._generator = np.random.default_rng(seed)
        game = self._game
        if self._is_running:
            _quit(game, game.last_observation, False)
            self._is_running = False
        empty_records(game.nethack._vardir)
        # The counter of a time penalty, and what events compare with, which are not reset.
        game._frozen_steps, game._previous_action = 0, None
        if self._generator is not None:
            self._seed_game(*self._generator.integers(LARGEST_SEED, size=3).tolist())
        if options is not None:  # nle 1.3.0 raises a KeyError for options without this one
            options = {"wizkit_items": None, **options}
        observation, info = self.env.reset(seed=seed, options=options)
        self._is_running = True
        self._depth = 0
        self._note()
        return self._observed(observation), info

    def step(self, action: Action) -> GymnasiumStep:
        """Take one step; return (observation, reward, terminated, truncated, info)."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._is_running = info["end_status"] == self._running
        self._note()
        if terminated or truncated:
            is_aborted = info["end_status"] == self._aborted
            terminated = bool(terminated) and not is_aborted
            truncated = not terminated
            info = dict(info, **self._statistics())
            if self._successful is not None:
                info["success"] = info["end_status"] == self._successful
        return self._observed(observation), reward, terminated, truncated, info

    def render(self) -> Rendered:
        """Return the map as text, or print it; None without a render mode.

        Raises:
            ResetNeeded: there is no game yet.
        """
        if self.render_mode is None:
            return None
        if not self._game.last_observation:
            raise gymnasium.error.ResetNeeded("There is no game yet: call reset() before render().")
        return self.env.render()

    def _observed(self, observation: Observation) -> Observation:
        return observation if self._keys is None else {key: observation[key] for key in self._keys}

    def _seed_game(self, core: int, display: int, level: int) -> None:
        # Not by game.seed, which in MiniHack's rooms of MiniGrid takes no level.
        self._game.nethack.set_initial_seeds(core, display, False, level)
        if hasattr(self._game, "minigrid_env"):
            rooms = self._game.minigrid_env.unwrapped
            rooms.np_random = np.random.default_rng(level)  # drawn from by its next reset

    def _note(self) -> None:
        blstats = self._game.last_observation[self._game._blstats_index]
        if blstats[_DEPTH]:  # all zero once the game is over
            self._blstats[:] = blstats
            self._depth = max(self._depth, int(blstats[_DEPTH]))

    def _statistics(self) -> Info:
        blstats = self._blstats
        return {
            "depth": self._depth,
            "experience_level": int(blstats[_EXPERIENCE_LEVEL]),
            "turns": int(blstats[_TURNS]),
            "score": int(blstats[_SCORE]),
        }


def _quit_and_show_what_was(
    game: weakref.ref[Any], observation: tuple[Array, ...], done: bool
) -> None:
    """Call NLE's `_quit_game`, and restore its arrays afterwards."""
    before = [array.copy() for array in observation]
    _quit(game(), observation, done)
    for array, as_it_was in zip(observation, before, strict=True):
        array[...] = as_it_was


def _quit(game: Any, observation: tuple[Array, ...], done: bool) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*smooth quitting of game failed")
        type(game)._quit_game(game, observation, done)
