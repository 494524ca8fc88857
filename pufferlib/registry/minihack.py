"""MiniHack: small tasks built from the parts of NetHack.

Source: https://github.com/samvelyan/minihack   License: Apache-2.0; NetHack's own for NLE below it
Cite: Samvelyan et al. 2021, MiniHack the Planet, arXiv:2109.13202.
Install: make install ENV=minihack
Observations: Dict, bytes when flat (3.8 KB): 'chars' Box(0, 255, (21, 79), uint8), 'colors' Box(0,
15, (21, 79), uint8), 'blstats' Box(-2147483648, 2147483647, (27,), int64), 'message' Box(0, 255,
(256,), uint8); `observation_keys` chooses others. Actions: Discrete(8), Discrete(10) KeyRoom, up to
16 for navigation and the Restricted tasks; Discrete(85) the other skills. One agent.
Deterministic under a seed through the seeding done here. MiniHack does not clear the previous
action at reset; here it is cleared.

With `num_envs=n`, n games are one native environment, of every task but the five of KeyRoom.

The MiniHack-Boxoban tasks are left out: their levels need a separate download.
"""

import copy
import os
import warnings
from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

from pufferlib.arguments import whole_number
from pufferlib.exceptions import ArgumentError
from pufferlib.registry._family import Family, creator_of, lazily

if TYPE_CHECKING:
    from pufferlib.annotations import GymnasiumEnv
    from pufferlib.emulation import GymnasiumPufferEnv
    from pufferlib.environment import PufferEnv

_TASKS = (
    "MiniHack-ClosedDoor-v0",
    "MiniHack-Corridor-R2-v0",
    "MiniHack-Corridor-R3-v0",
    "MiniHack-Corridor-R5-v0",
    "MiniHack-CorridorBattle-Dark-v0",
    "MiniHack-CorridorBattle-v0",
    "MiniHack-Eat-Distr-v0",
    "MiniHack-Eat-Fixed-v0",
    "MiniHack-Eat-v0",
    "MiniHack-ExploreMaze-Easy-Mapped-v0",
    "MiniHack-ExploreMaze-Easy-v0",
    "MiniHack-ExploreMaze-Hard-Mapped-v0",
    "MiniHack-ExploreMaze-Hard-v0",
    "MiniHack-Freeze-Horn-Full-v0",
    "MiniHack-Freeze-Horn-Restricted-v0",
    "MiniHack-Freeze-Lava-Full-v0",
    "MiniHack-Freeze-Lava-Restricted-v0",
    "MiniHack-Freeze-Random-Full-v0",
    "MiniHack-Freeze-Random-Restricted-v0",
    "MiniHack-Freeze-Wand-Full-v0",
    "MiniHack-Freeze-Wand-Restricted-v0",
    "MiniHack-HideNSeek-Big-v0",
    "MiniHack-HideNSeek-Lava-v0",
    "MiniHack-HideNSeek-Mapped-v0",
    "MiniHack-HideNSeek-v0",
    "MiniHack-KeyRoom-Dark-S15-v0",
    "MiniHack-KeyRoom-Dark-S5-v0",
    "MiniHack-KeyRoom-Fixed-S5-v0",
    "MiniHack-KeyRoom-S15-v0",
    "MiniHack-KeyRoom-S5-v0",
    "MiniHack-Labyrinth-Big-v0",
    "MiniHack-Labyrinth-Small-v0",
    "MiniHack-LavaCross-Full-v0",
    "MiniHack-LavaCross-Levitate-Full-v0",
    "MiniHack-LavaCross-Levitate-Potion-Inv-Full-v0",
    "MiniHack-LavaCross-Levitate-Potion-Inv-Restricted-v0",
    "MiniHack-LavaCross-Levitate-Potion-Pickup-Full-v0",
    "MiniHack-LavaCross-Levitate-Potion-Pickup-Restricted-v0",
    "MiniHack-LavaCross-Levitate-Restricted-v0",
    "MiniHack-LavaCross-Levitate-Ring-Inv-Full-v0",
    "MiniHack-LavaCross-Levitate-Ring-Inv-Restricted-v0",
    "MiniHack-LavaCross-Levitate-Ring-Pickup-Full-v0",
    "MiniHack-LavaCross-Levitate-Ring-Pickup-Restricted-v0",
    "MiniHack-LavaCross-Restricted-v0",
    "MiniHack-LavaCrossingS11N5-v0",
    "MiniHack-LavaCrossingS19N13-v0",
    "MiniHack-LavaCrossingS19N17-v0",
    "MiniHack-LavaCrossingS9N1-v0",
    "MiniHack-LavaCrossingS9N2-v0",
    "MiniHack-LavaCrossingS9N3-v0",
    "MiniHack-Levitate-Boots-Fixed-v0",
    "MiniHack-Levitate-Boots-Full-v0",
    "MiniHack-Levitate-Boots-Restricted-v0",
    "MiniHack-Levitate-Potion-Fixed-v0",
    "MiniHack-Levitate-Potion-Full-v0",
    "MiniHack-Levitate-Potion-Restricted-v0",
    "MiniHack-Levitate-Random-Full-v0",
    "MiniHack-Levitate-Ring-Fixed-v0",
    "MiniHack-Levitate-Ring-Full-v0",
    "MiniHack-Levitate-Ring-Restricted-v0",
    "MiniHack-LockedDoor-Fixed-v0",
    "MiniHack-LockedDoor-v0",
    "MiniHack-MazeWalk-15x15-v0",
    "MiniHack-MazeWalk-45x19-v0",
    "MiniHack-MazeWalk-9x9-v0",
    "MiniHack-MazeWalk-Mapped-15x15-v0",
    "MiniHack-MazeWalk-Mapped-45x19-v0",
    "MiniHack-MazeWalk-Mapped-9x9-v0",
    "MiniHack-Memento-F2-v0",
    "MiniHack-Memento-F4-v0",
    "MiniHack-Memento-Short-F2-v0",
    "MiniHack-MultiRoom-N10-Lava-OpenDoor-v0",
    "MiniHack-MultiRoom-N10-Lava-v0",
    "MiniHack-MultiRoom-N10-OpenDoor-v0",
    "MiniHack-MultiRoom-N10-v0",
    "MiniHack-MultiRoom-N2-Extreme-v0",
    "MiniHack-MultiRoom-N2-Lava-v0",
    "MiniHack-MultiRoom-N2-LavaMonsters-v0",
    "MiniHack-MultiRoom-N2-Locked-v0",
    "MiniHack-MultiRoom-N2-Monster-v0",
    "MiniHack-MultiRoom-N2-v0",
    "MiniHack-MultiRoom-N4-Extreme-v0",
    "MiniHack-MultiRoom-N4-Lava-v0",
    "MiniHack-MultiRoom-N4-LavaMonsters-v0",
    "MiniHack-MultiRoom-N4-Locked-v0",
    "MiniHack-MultiRoom-N4-Monster-v0",
    "MiniHack-MultiRoom-N4-v0",
    "MiniHack-MultiRoom-N6-Extreme-v0",
    "MiniHack-MultiRoom-N6-Lava-OpenDoor-v0",
    "MiniHack-MultiRoom-N6-Lava-v0",
    "MiniHack-MultiRoom-N6-LavaMonsters-v0",
    "MiniHack-MultiRoom-N6-Locked-v0",
    "MiniHack-MultiRoom-N6-Monster-v0",
    "MiniHack-MultiRoom-N6-OpenDoor-v0",
    "MiniHack-MultiRoom-N6-v0",
    "MiniHack-Navigation-Custom-v0",
    "MiniHack-Pray-Distr-v0",
    "MiniHack-Pray-Fixed-v0",
    "MiniHack-Pray-v0",
    "MiniHack-PutOn-Distr-v0",
    "MiniHack-PutOn-Fixed-v0",
    "MiniHack-PutOn-v0",
    "MiniHack-Quest-Easy-v0",
    "MiniHack-Quest-Hard-v0",
    "MiniHack-Quest-Medium-v0",
    "MiniHack-Read-Distr-v0",
    "MiniHack-Read-Fixed-v0",
    "MiniHack-Read-v0",
    "MiniHack-River-Lava-v0",
    "MiniHack-River-Monster-v0",
    "MiniHack-River-MonsterLava-v0",
    "MiniHack-River-Narrow-v0",
    "MiniHack-River-v0",
    "MiniHack-Room-15x15-v0",
    "MiniHack-Room-5x5-v0",
    "MiniHack-Room-Dark-15x15-v0",
    "MiniHack-Room-Dark-5x5-v0",
    "MiniHack-Room-Monster-15x15-v0",
    "MiniHack-Room-Monster-5x5-v0",
    "MiniHack-Room-Random-15x15-v0",
    "MiniHack-Room-Random-5x5-v0",
    "MiniHack-Room-Trap-15x15-v0",
    "MiniHack-Room-Trap-5x5-v0",
    "MiniHack-Room-Ultimate-15x15-v0",
    "MiniHack-Room-Ultimate-5x5-v0",
    "MiniHack-SimpleCrossingS11N5-v0",
    "MiniHack-SimpleCrossingS9N1-v0",
    "MiniHack-SimpleCrossingS9N2-v0",
    "MiniHack-SimpleCrossingS9N3-v0",
    "MiniHack-Sink-Distr-v0",
    "MiniHack-Sink-Fixed-v0",
    "MiniHack-Sink-v0",
    "MiniHack-Skill-Custom-v0",
    "MiniHack-Sokoban1a-v1",
    "MiniHack-Sokoban1b-v1",
    "MiniHack-Sokoban2a-v1",
    "MiniHack-Sokoban2b-v1",
    "MiniHack-Sokoban3a-v1",
    "MiniHack-Sokoban3b-v1",
    "MiniHack-Sokoban4a-v1",
    "MiniHack-Sokoban4b-v1",
    "MiniHack-Wear-Distr-v0",
    "MiniHack-Wear-Fixed-v0",
    "MiniHack-Wear-v0",
    "MiniHack-Wield-Distr-v0",
    "MiniHack-Wield-Fixed-v0",
    "MiniHack-Wield-v0",
    "MiniHack-WoD-Easy-Full-v0",
    "MiniHack-WoD-Easy-Restricted-v0",
    "MiniHack-WoD-Hard-Full-v0",
    "MiniHack-WoD-Hard-Restricted-v0",
    "MiniHack-WoD-Medium-Full-v0",
    "MiniHack-WoD-Medium-Restricted-v0",
    "MiniHack-WoD-Pro-Full-v0",
    "MiniHack-WoD-Pro-Restricted-v0",
    "MiniHack-Zap-Distr-v0",
    "MiniHack-Zap-Fixed-v0",
    "MiniHack-Zap-v0",
)
_BARE_ROOMS = (  # without monsters, objects and traps
    "MiniHack-Room-15x15-v0",
    "MiniHack-Room-5x5-v0",
    "MiniHack-Room-Dark-15x15-v0",
    "MiniHack-Room-Dark-5x5-v0",
    "MiniHack-Room-Random-15x15-v0",
    "MiniHack-Room-Random-5x5-v0",
)
_NATIVE_ARGUMENTS = (
    *("max_episode_steps", "character", "des_file", "autopickup", "pet", "reward_manager"),
    *("penalty_mode", "penalty_step", "penalty_time", "reward_win", "reward_lose"),
)

FAMILY = Family(
    name="minihack",
    package="minihack",
    needs=("minigrid", "nle", "pkg_resources", "scipy"),
    default="MiniHack-Room-5x5-v0",
    tasks=_TASKS,
    samples=(
        "MiniHack-Room-5x5-v0",
        "MiniHack-KeyRoom-S5-v0",  # other actions
        "MiniHack-MultiRoom-N2-v0",  # rooms of MiniGrid
        "MiniHack-LavaCrossingS9N1-v0",  # rooms of MiniGrid, with their size corrected
        "MiniHack-Eat-v0",  # a reward manager
    ),
    single_tasks=tuple(task for task in _TASKS if "KeyRoom" in task),  # `step` plays several keys
    stale_pins=("minihack", "nle"),  # they ask for gymnasium == 1.2.0, and run on 1.4.0
    render_modes=("ansi", "human"),
)
__getattr__ = lazily(Policy="pufferlib.policies.nethack:Policy")

# What policies.nethack looks at.
OBSERVATION_KEYS = ("chars", "colors", "blstats", "message")


def make_env(
    name: str = FAMILY.default,
    observation_keys: Sequence[str] = OBSERVATION_KEYS,
    render_mode: str | None = None,
    *,
    num_envs: int | None = None,
    share_library: bool = True,
    **kwargs: Any,
) -> "GymnasiumPufferEnv | PufferEnv":
    """Return the task `name`, flat, seeded, with episode statistics; or many games of it as one.

    At an episode's end `info` has, besides `episode_return` and `episode_length`: `success`, and
    those of `nethack.make_env`. Reaching the goal on the last step allowed is no success.

    With `num_envs` it is a native environment, see `nethack.make_env`; not of KeyRoom, whose
    `step` plays several keys. Rewards that a `RewardManager` or a task computes in Python are
    computed by MiniHack's own code from what the native game shows (docs/benchmarks.md).

    Args:
        name: one of `FAMILY.tasks`. MiniHack-Navigation-Custom-v0 and MiniHack-Skill-Custom-v0 need
            `des_file`, a level in NetHack's description language, named "mylevel", or the path of
            one: a .des file, here or among MiniHack's.
        observation_keys: which of MiniHack's observations to include: NLE's, and such as
            "chars_crop", (9, 9) around the hero, or "pixel".
        render_mode: "ansi" returns the map as text, "human" prints the terminal in color; None in
            native environments.
        num_envs: games of one native environment; one ordinary environment if None.
        share_library: see `nethack.make_env`.
        **kwargs: passed to MiniHack (`max_episode_steps`, `obs_crop_h`, `penalty_step` ...). Of a
            `reward_manager`, each game has a copy; native ones take `RewardManager` with MiniHack's
            events. `seeds` are drawn by Python's generator, which `reset(seed=)` does not seed.

    Raises:
        ArgumentError: a custom task without `des_file`, no level in it, or NetHack does not know
            the `character`; the task or an argument has no native form.
    """
    FAMILY.check(name, render_mode)
    from pufferlib.registry._nethack_env import check_character, check_native_arguments

    if num_envs is not None:
        num_envs = whole_number("num_envs", num_envs)
        check_native_arguments(render_mode, kwargs, _NATIVE_ARGUMENTS)
    if "-Custom-" in name and kwargs.get("des_file") is None:
        raise ArgumentError(
            f"{name} is a task for levels of your own; got no des_file. Give one: the text of a "
            f"level in NetHack's description language, or the path of a .des file."
        )
    check_character(kwargs.get("character", "@"))
    env = _make_game(name, render_mode, {"observation_keys": list(observation_keys), **kwargs})
    if num_envs is not None:
        from pufferlib.registry._minihack_native import minihack_games

        with closing(env):
            is_bare = name in _BARE_ROOMS and not kwargs.get("pet")
            return minihack_games(env, num_envs, share_library, is_bare)
    from pufferlib.emulation import GymnasiumPufferEnv
    from pufferlib.registry._nethack_env import NetHackEpisode
    from pufferlib.wrappers import EpisodeStats

    return GymnasiumPufferEnv(EpisodeStats(NetHackEpisode(env)))


def _make_game(name: str, render_mode: str | None, kwargs: dict[str, Any]) -> "GymnasiumEnv":
    """Return an environment of MiniHack."""
    import gymnasium

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "pkg_resources is deprecated", UserWarning)
        warnings.filterwarnings("ignore", ".*MiniGrid-MultiRoom-N4-S5-v0 is out of date")
        import minihack  # noqa: F401  (registers the tasks)

        from pufferlib.registry import _minihack_levels as levels

        if "Crossing" in name:
            kwargs = {"env_name": levels.crossing(name)} | kwargs
        if "des_file" in kwargs:
            kwargs["des_file"] = levels.checked_level(os.fspath(kwargs["des_file"]))
        spec = copy.deepcopy(gymnasium.spec(name))
        spec.kwargs |= kwargs  # not as arguments of make, which keeps max_episode_steps to itself
        env = gymnasium.make(spec, render_mode=render_mode, disable_env_checker=True)
        game: Any = env.unwrapped
        if hasattr(game, "minigrid_env"):
            game._patch_nhdat = levels.compile_levels_alone(game.nethack._vardir)
        return env


env_creator = creator_of(FAMILY, make_env)
