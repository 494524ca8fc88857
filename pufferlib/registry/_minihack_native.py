"""Many games of a MiniHack task as one native environment."""

import functools
from pathlib import Path
from typing import Any

from minihack.base import MiniHack
from minihack.envs.minigrid import MiniGridHack
from nle.env.base import NLE_SPACE_ITEMS

from pufferlib.exceptions import ArgumentError
from pufferlib.registry import _minihack_judge as judging
from pufferlib.registry._minihack_levels import Rooms
from pufferlib.registry._nethack_env import SINGLE
from pufferlib.registry._nethack_native import Kind, NetHackGames
from pufferlib.registry._nethack_tasks import make_rules

# What a task may define that the native form does not do.
_METHODS = ("reset", "step", "_get_observation")
_DEFAULTS = {
    "_allow_all_modes": False,
    "_level_seeds": None,
    "remove_alignment_blstats": False,
}


def minihack_games(env: Any, num_envs: int, share_library: bool, is_bare: bool) -> NetHackGames:
    """Return games like the one of `env`, an ordinary environment of MiniHack.

    Args:
        env: made by Gymnasium; used as a pattern, and not played.
        num_envs: how many games.
        share_library: see `NetHackGames`.
        is_bare: the level has neither objects nor monsters, and the hero can only move. MiniHack
            always has the screen described, for which NetHack draws random numbers: while the hero
            hallucinates, and for remembered objects. In a bare level it draws none, and they are
            left out, unless an event looks at them: a third of a step.

    Raises:
        ArgumentError: it does something that the native form cannot; says what.
    """
    game = env.unwrapped
    _check(game, env.spec.id)
    name = f"name:Agent-{game.character}"
    options = game.nethack.options
    is_judged = judging.needs_judge(game)
    described = () if is_bare else ("screen_descriptions",)
    kind = Kind(
        rules=make_rules(
            reward="goal",
            goal="stairs",
            max_steps=game._max_episode_steps,
            aborts=True,
            leaves_all=game._allow_all_yn_questions,
        ),
        status=game.StepStatus,
        observations=game.observation_space,
        actions=tuple(int(action) for action in game.actions),
        options=tuple(options[: options.index(name)]),  # NLE adds what comes after it
        character=game.character,
        spawns_monsters=False,
        written=judging.READ if is_judged else described,
        dungeon=Path(game.nethack._vardir, "nhdat").read_bytes(),
        make_judge=functools.partial(judging.Judge, game) if is_judged else None,
        make_rooms=functools.partial(Rooms, game) if _has_rooms(game) else None,
    )
    return NetHackGames(kind, num_envs, share_library)


def _check(game: Any, name: str) -> None:
    own = [method for method in _METHODS if getattr(type(game), method) is not _of_minihack(method)]
    if _has_rooms(game):
        own.remove("reset")
    other = [option for option, value in _DEFAULTS.items() if getattr(game, option) != value]
    known = dict(NLE_SPACE_ITEMS)
    keys = [key for key in game.observation_space if key not in known]
    reason = (
        judging.unknown_rewards(game.reward_manager)
        or (own and f"has its own {own[0].strip('_')}()")
        or (other and f"has another {other[0].strip('_')}")
        or (keys and f"observes {keys[0]!r}, which MiniHack makes in Python")
    )
    if reason:
        raise ArgumentError(
            f"{name} has no native form, which num_envs asks for: it {reason}. {SINGLE}"
        )


def _has_rooms(game: Any) -> bool:
    return type(game).reset is MiniGridHack.reset


def _of_minihack(method: str) -> Any:
    return getattr(MiniHack, method)
