"""NetHack, through the NetHack Learning Environment (NLE).

Source: https://github.com/NetHack-LE/nle   License: NetHack General Public License
Cite: Küttler et al. 2020, The NetHack Learning Environment, arXiv:2006.13760.
Install: make install ENV=nethack
Observations: Dict of 13 leaves, bytes when flat (17 KB): 'glyphs' Box(0, 5976, (21, 79), int16),
'chars' and 'specials' Box(0, 255, (21, 79), uint8), 'colors' Box(0, 15, (21, 79), uint8), 'blstats'
Box(-2147483648, 2147483647, (27,), int64), 'message' Box(0, 255, (256,), uint8), 'inv_glyphs'
Box(0, 5976, (55,), int16), 'inv_letters' Box(0, 127, (55,), uint8), 'inv_oclasses' Box(0, 18,
(55,), uint8), 'inv_strs' Box(0, 255, (55, 80), uint8), 'tty_chars' Box(0, 255, (24, 80), uint8),
'tty_colors' Box(0, 31, (24, 80), int8), 'tty_cursor' Box(0, 255, (2,), uint8). Actions:
Discrete(23), NetHackChallenge Discrete(121). One agent.
Deterministic under a seed through the seeding done here, except NetHackChallenge, which refuses it.
"""

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pufferlib.arguments import whole_number
from pufferlib.exceptions import ArgumentError
from pufferlib.registry._family import Family, creator_of, lazily

if TYPE_CHECKING:
    from pufferlib.emulation import GymnasiumPufferEnv
    from pufferlib.environment import PufferEnv

FAMILY = Family(
    name="nethack",
    package="nle",
    default="NetHackScore-v0",
    tasks=(
        "NetHackChallenge-v0",
        "NetHackEat-v0",
        "NetHackGold-v0",
        "NetHackOracle-v0",
        "NetHackScore-v0",
        "NetHackScout-v0",
        "NetHackStaircase-v0",
        "NetHackStaircasePet-v0",
    ),
    unseeded_tasks=("NetHackChallenge-v0",),
    single_tasks=("NetHackChallenge-v0",),
    stale_pins=("nle",),  # nle 1.3.0 asks for gymnasium == 1.2.0; it runs on 1.4.0
    render_modes=("ansi", "human"),
)
__getattr__ = lazily(Policy="pufferlib.policies.nethack:Policy")

# All but 'screen_descriptions', 133 KB a step.
OBSERVATION_KEYS = (
    "glyphs",
    "chars",
    "colors",
    "specials",
    "blstats",
    "message",
    "inv_glyphs",
    "inv_strs",
    "inv_letters",
    "inv_oclasses",
    "tty_chars",
    "tty_colors",
    "tty_cursor",
)
# What render modes need, whether it is observed or not.
DRAWN_KEYS: dict[str | None, tuple[str, ...]] = {
    "ansi": ("chars",),
    "human": ("tty_chars", "tty_colors", "tty_cursor"),
}


def make_env(
    name: str = FAMILY.default,
    observation_keys: Sequence[str] = OBSERVATION_KEYS,
    render_mode: str | None = None,
    max_episode_steps: int | None = None,
    *,
    num_envs: int | None = None,
    share_library: bool = True,
    **kwargs: Any,
) -> "GymnasiumPufferEnv | PufferEnv":
    """Return the task `name`, flat, seeded, with episode statistics; or many games of it as one.

    At an episode's end `info` has, besides `episode_return` and `episode_length`: `depth` (deepest
    dungeon level reached), `experience_level`, `turns` and `score` (the game's own); of Oracle,
    Staircase and StaircasePet also `success`.

    With `num_envs` it is a native environment: that many games, one per row, stepped in this
    process without NLE's Python (docs/benchmarks.md). Everything is as with `num_envs` environments
    of one game, of which game i has the seed `seed + i`. NetHackChallenge, rendering and arguments
    for NLE other than `character` are for environments of one game.

    Args:
        name: one of `FAMILY.tasks`.
        observation_keys: which of NLE's observations to include; the map is drawn without them.
        render_mode: "ansi" returns the map as text, "human" prints the terminal in color.
        max_episode_steps: an episode is truncated after so many; None: 5,000, NetHackChallenge
            1,000,000.
        num_envs: games of one native environment; one ordinary environment if None.
        share_library: with `num_envs`, the games of all environments share the read-only memory of
            NetHack's library, of which each has a copy, on Linux x86-64. False leaves the copies as
            NLE loads them.
        **kwargs: passed to NLE (`character`, as "mon-hum-neu-mal" or "@" for any ...).

    Raises:
        ArgumentError: NetHack does not know the character; a number of games or steps below 1; an
            unknown observation, or an argument that native environments do not take.
    """
    FAMILY.check(name, render_mode)
    if max_episode_steps is not None:
        max_episode_steps = whole_number("max_episode_steps", max_episode_steps)
    from pufferlib.registry._nethack_env import SINGLE, check_character, check_native_arguments

    check_character(kwargs.get("character", "@"))
    if num_envs is not None:
        num_envs = whole_number("num_envs", num_envs)
        if name in FAMILY.single_tasks:
            raise ArgumentError(f"{name} has no native form, which num_envs asks for. {SINGLE}")
        check_native_arguments(render_mode, kwargs, ("max_episode_steps", "character"))
        from pufferlib.registry._nethack_tasks import nethack_games

        return nethack_games(
            name, num_envs, observation_keys, max_episode_steps, share_library, **kwargs
        )
    return _make_one(name, tuple(observation_keys), render_mode, max_episode_steps, kwargs)


def _make_one(
    name: str,
    observed: tuple[str, ...],
    render_mode: str | None,
    max_episode_steps: int | None,
    kwargs: dict[str, Any],
) -> "GymnasiumPufferEnv":
    import gymnasium
    import nle  # noqa: F401  (registers the tasks)

    from pufferlib.emulation import GymnasiumPufferEnv
    from pufferlib.registry._nethack_env import NetHackEpisode
    from pufferlib.wrappers import EpisodeStats

    keys = tuple(dict.fromkeys(observed + DRAWN_KEYS.get(render_mode, ())))
    spec = copy.deepcopy(gymnasium.spec(name))
    spec.kwargs |= {"observation_keys": keys, **kwargs}
    if max_episode_steps is not None:
        # NLE's own limit, at which a goal that is reached does not count. `make` does not pass on
        # the one it is given.
        spec.kwargs["max_episode_steps"] = max_episode_steps + 1
    env = gymnasium.make(
        spec,
        max_episode_steps=max_episode_steps,
        render_mode=render_mode,
        disable_env_checker=True,
    )
    env = NetHackEpisode(
        env,
        is_seedable=name not in FAMILY.unseeded_tasks,
        observation_keys=None if keys == observed else observed,
    )
    return GymnasiumPufferEnv(EpisodeStats(env))


env_creator = creator_of(FAMILY, make_env)
