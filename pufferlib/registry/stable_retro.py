"""Stable Retro: games of old consoles; one free game is included.

Source: https://stable-retro.farama.org   License: MIT (its emulators: GPL-2; Genesis Plus GX and
Snes9x forbid commercial use)
Cite: Nichol et al. 2018, Gotta Learn Fast, arXiv:1804.03720; Poliquin 2025, Stable Retro.
Install: make install ENV=stable_retro
Observations: Box(0, 255, (112, 160, 4), uint8) Airstriker: half its size, gray, four frames.
Actions: MultiBinary(12), the buttons of a Genesis. One agent.
Deterministic under a seed.
Bundled: Airstriker, a homebrew game. Stable Retro knows a thousand others, whose files you have to
own: `python -m stable_retro.import DIRECTORY` takes those it recognizes, and then
`make_env(game="SonicTheHedgehog-Genesis-v0")` plays one. One environment in a process: vectorize
with backend Multiprocessing and one environment for each worker.
"""

from typing import TYPE_CHECKING, Any

from pufferlib.arguments import whole_number
from pufferlib.registry._family import Family, creator_of, lazily

if TYPE_CHECKING:
    from pufferlib.emulation import GymnasiumPufferEnv

FAMILY = Family(
    name="stable_retro",
    package="stable_retro",
    default="Airstriker-Genesis-v0",
    tasks=("Airstriker-Genesis-v0",),
    is_one_per_process=True,
    render_modes=("rgb_array", "human"),
)
__getattr__ = lazily(Policy="pufferlib.policies.pixels:NatureCNN")


def make_env(
    name: str = FAMILY.default,
    game: str | None = None,
    frame_skip: int = 4,
    shrink: int = 2,
    gray: bool = True,
    frame_stack: int = 4,
    max_episode_steps: int | None = 4_500,
    render_mode: str | None = None,
    **kwargs: Any,
) -> "GymnasiumPufferEnv":
    """Return the task `name`, flat, with episode statistics.

    At an episode's end `info` also has the game's own variables (`score`, `lives` ...).

    Args:
        name: one of `FAMILY.tasks`.
        game: a game that you have imported, in place of `name`.
        frame_skip: how many frames, of 60 in a second, an action lasts; rewards are added up.
        shrink: replace each square of this many pixels a side by its mean; must divide the size.
        gray: one channel of brightness in place of three.
        frame_stack: how many frames, the newest last, are in the channels of an observation.
        max_episode_steps: truncates; None: only the game ends an episode.
        render_mode: "rgb_array" or "human"; the first needs no display.
        **kwargs: passed to `stable_retro.make` (`state`, `scenario`, `use_restricted_actions` ...).

    Raises:
        UnknownNameError: Stable Retro knows no such `game`.
        NotInstalledError: you have not imported the game's file.
        ArgumentError: the game has no such state, scenario or info, the pictures cannot be
            preprocessed so, or this process has an environment already.
    """
    FAMILY.check(name, render_mode)
    if max_episode_steps is not None:
        max_episode_steps = whole_number("max_episode_steps", max_episode_steps)
    from gymnasium.wrappers import TimeLimit

    from pufferlib.emulation import GymnasiumPufferEnv
    from pufferlib.registry._closing import closed_if_refused
    from pufferlib.registry._images import preprocessed
    from pufferlib.registry._stable_retro_env import Skip, made
    from pufferlib.wrappers import EpisodeStats

    bare = made(game or name, render_mode=render_mode, **kwargs)
    with closed_if_refused(bare):  # or this process could not make another
        env: Any = Skip(bare, frame_skip)
        env = preprocessed(env, shrink=shrink, gray=gray, frame_stack=frame_stack)
        if max_episode_steps is not None:
            env = TimeLimit(env, max_episode_steps)
        return GymnasiumPufferEnv(EpisodeStats(env))


env_creator = creator_of(FAMILY, make_env)
