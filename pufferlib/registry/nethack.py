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

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pufferlib.registry._family import Family, creator_of, lazily

if TYPE_CHECKING:
    from pufferlib.emulation import GymnasiumPufferEnv

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
    **kwargs: Any,
) -> "GymnasiumPufferEnv":
    """Return the task `name`, flat, seeded, with episode statistics.

    At an episode's end `info` has, besides `episode_return` and `episode_length`: `depth` (deepest
    dungeon level reached), `experience_level`, `turns` and `score` (the game's own); of Oracle,
    Staircase and StaircasePet also `success`.

    Args:
        name: one of `FAMILY.tasks`.
        observation_keys: which of NLE's observations to include; the map is drawn without them.
        render_mode: "ansi" returns the map as text, "human" prints the terminal in color.
        **kwargs: passed to `gymnasium.make` (`max_episode_steps`) and to NLE (`character`, as
            "mon-hum-neu-mal" or "@" for any ...).

    Raises:
        ArgumentError: NetHack does not know the character.
    """
    FAMILY.check(name, render_mode)
    import gymnasium
    import nle  # noqa: F401  (registers the tasks)

    from pufferlib.emulation import GymnasiumPufferEnv
    from pufferlib.registry._nethack_env import NetHackEpisode, check_character
    from pufferlib.wrappers import EpisodeStats

    check_character(kwargs.get("character", "@"))
    observed = tuple(observation_keys)
    keys = tuple(dict.fromkeys(observed + DRAWN_KEYS.get(render_mode, ())))
    env = gymnasium.make(
        name,
        observation_keys=keys,
        render_mode=render_mode,
        disable_env_checker=True,
        **kwargs,
    )
    env = NetHackEpisode(
        env,
        is_seedable=name not in FAMILY.unseeded_tasks,
        observation_keys=None if keys == observed else observed,
    )
    return GymnasiumPufferEnv(EpisodeStats(env))


env_creator = creator_of(FAMILY, make_env)
