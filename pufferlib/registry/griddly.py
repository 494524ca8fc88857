"""Griddly: grid games described in files, for one player or several.

Source: https://github.com/Bam4d/Griddly   License: MIT; the package states none
Cite: Bamford, Huang and Lucas 2020, Griddly: A platform for AI research in games, arXiv:2011.06363.
Install: make install ENV=griddly
Observations: Box(0, 255, (C, w, h), uint8), a plane for each kind of object and for what it is:
Box(0, 255, (4, 13, 9), uint8) GDY-Sokoban, Box(0, 255, (6, 13, 9), uint8) GDY-Zelda, Box(0, 255,
(5, 28, 11), uint8) GDY-Butterflies-and-Spiders, Box(0, 255, (5, 5, 5), uint8) GDY-Foragers, Box(0,
255, (15, 16, 16), uint8) GDY-GriddlyRTS and likewise; another level may have another size. Actions:
Discrete(5) or Discrete(4); MultiDiscrete([2 5]), what and where, GDY-Zelda, GDY-Foragers and
GDY-Robot-Tag; MultiDiscrete([16 16 6 5]) GDY-GriddlyRTS, which begins with the cell that acts, as
do the three of Stratega, GDY-Heal-Or-Die, GDY-Kill-The-King and GDY-Push-Mania.
Agents: 1; 2 GDY-GriddlyRTS and Stratega, 4 GDY-Foragers, 4, 8 and 12 GDY-Robot-Tag.
Deterministic under a seed.
"""

from typing import TYPE_CHECKING

from pufferlib.registry._family import Family, creator_of, lazily

if TYPE_CHECKING:
    from pufferlib.emulation import GymnasiumPufferEnv, PettingZooPufferEnv

FAMILY = Family(
    name="griddly",
    package="griddly",
    needs=("gym",),
    default="GDY-Sokoban-v0",
    tasks=(
        "GDY-Bait-With-Keys-v0",
        "GDY-Bait-v0",
        "GDY-Butterflies-and-Spiders-v0",
        "GDY-Clusters-v0",
        "GDY-Cook-Me-Pasta-v0",
        "GDY-Doggo-v0",
        "GDY-Drunk-Dwarf-v0",
        "GDY-Eyeball-v0",
        "GDY-Foragers-v0",
        "GDY-GriddlyRTS-v0",
        "GDY-Heal-Or-Die-v0",
        "GDY-Kill-The-King-v0",
        "GDY-Labyrinth-v0",
        "GDY-Partially-Observable-Bait-v0",
        "GDY-Partially-Observable-Clusters-v0",
        "GDY-Partially-Observable-Cook-Me-Pasta-v0",
        "GDY-Partially-Observable-Labyrinth-v0",
        "GDY-Partially-Observable-Sokoban---2-v0",
        "GDY-Partially-Observable-Zelda-v0",
        "GDY-Partially-Observable-Zen-Puzzle-v0",
        "GDY-Push-Mania-v0",
        "GDY-Random-butterflies-v0",
        "GDY-Robot-Tag-12v12-v0",
        "GDY-Robot-Tag-4v4-v0",
        "GDY-Robot-Tag-8v8-v0",
        "GDY-Sokoban---2-v0",
        "GDY-Sokoban-v0",
        "GDY-Spider-Nest-v0",
        "GDY-Spiders-v0",
        "GDY-Zelda-Sequential-v0",
        "GDY-Zelda-v0",
        "GDY-Zen-Puzzle-v0",
    ),
    samples=(
        "GDY-Sokoban-v0",
        "GDY-Butterflies-and-Spiders-v0",  # random
        "GDY-Zelda-v0",  # an action of two parts
        "GDY-Foragers-v0",  # players side by side
        "GDY-GriddlyRTS-v0",  # players that name the cell which acts
    ),
    render_modes=("rgb_array",),
)
__getattr__ = lazily(Policy="pufferlib.policies.grid:channels_first_policy")


def make_env(
    name: str = FAMILY.default,
    level: int = 0,
    max_steps: int = 1000,
    render_mode: str | None = None,
) -> "GymnasiumPufferEnv | PettingZooPufferEnv":
    """Return the task `name`, flat, with episode statistics.

    At an episode's end `info` has, besides `episode_return` and `episode_length`: `win`. In a game
    of several players each has its own.

    Args:
        name: one of `FAMILY.tasks`.
        level: index of the level, from 0.
        max_steps: an episode is truncated after so many; many games have no other end.
        render_mode: "rgb_array" draws each kind of object in a color, None nothing. Drawing costs
            nothing until asked for, and needs no graphics driver.

    Raises:
        ArgumentError: no such level, or less than one step.
    """
    FAMILY.check(name, render_mode)
    from pufferlib.emulation import GymnasiumPufferEnv, PettingZooPufferEnv
    from pufferlib.registry._griddly_env import Game, make_game
    from pufferlib.wrappers import EpisodeStats, MultiAgentEpisodeStats

    game = make_game(name, level, max_steps, render_mode)
    if isinstance(game, Game):
        return GymnasiumPufferEnv(EpisodeStats(game))
    return PettingZooPufferEnv(MultiAgentEpisodeStats(game))


env_creator = creator_of(FAMILY, make_env)
