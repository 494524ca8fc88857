"""Procgen: sixteen games whose levels are generated, to measure generalization.

Source: https://github.com/openai/procgen   License: MIT
Cite: Cobbe et al. 2020, Leveraging Procedural Generation to Benchmark Reinforcement Learning,
arXiv:1912.01588.
Install: make install ENV=procgen
Observations: Box(0, 255, (64, 64, 3), uint8). Actions: Discrete(15). One agent.
Deterministic under a seed: it draws the sequence of levels.
"""

from typing import TYPE_CHECKING, Any

from pufferlib.arguments import whole_number
from pufferlib.exceptions import ArgumentError, suggestion
from pufferlib.registry._family import Family, creator_of, lazily

if TYPE_CHECKING:
    from pufferlib.emulation import GymnasiumPufferEnv
    from pufferlib.environment import PufferEnv

FAMILY = Family(
    name="procgen",
    package="procgen",
    needs=("cffi", "filelock", "glfw", "gym3", "imageio"),
    default="procgen-coinrun-v0",
    tasks=(
        "procgen-bigfish-v0",
        "procgen-bossfight-v0",
        "procgen-caveflyer-v0",
        "procgen-chaser-v0",
        "procgen-climber-v0",
        "procgen-coinrun-v0",
        "procgen-dodgeball-v0",
        "procgen-fruitbot-v0",
        "procgen-heist-v0",
        "procgen-jumper-v0",
        "procgen-leaper-v0",
        "procgen-maze-v0",
        "procgen-miner-v0",
        "procgen-ninja-v0",
        "procgen-plunder-v0",
        "procgen-starpilot-v0",
    ),
    samples=("procgen-coinrun-v0", "procgen-maze-v0"),
    stale_pins=("gym3", "procgen-mirror"),  # they ask for numpy < 2, and run on 2.4
    render_modes=("rgb_array",),
)
__getattr__ = lazily(Policy="pufferlib.policies.pixels:Impala")

_GAMES_OF_MODE = {  # asked for another, the C++ code ends the process
    "easy": frozenset(FAMILY.tasks),
    "hard": frozenset(FAMILY.tasks),
    "extreme": frozenset(
        f"procgen-{game}-v0" for game in ("chaser", "dodgeball", "leaper", "starpilot")
    ),
    "memory": frozenset(
        f"procgen-{game}-v0"
        for game in ("caveflyer", "dodgeball", "heist", "jumper", "maze", "miner")
    ),
    "exploration": frozenset(
        f"procgen-{game}-v0"
        for game in (
            "caveflyer",
            "climber",
            "coinrun",
            "heist",
            "jumper",
            "leaper",
            "maze",
            "ninja",
        )
    ),
}

_OPTIONS = (  # others end the process, are ours to set, or hold for all games of the process
    "center_agent",
    "debug_mode",
    "num_threads",
    "paint_vel_info",
    "restrict_themes",
    "use_backgrounds",
    "use_generated_assets",
    "use_monochrome_assets",
    "use_sequential_levels",
)
_COUNTS = ("debug_mode", "num_threads")
_LARGEST = 2**31 - 1  # of the numbers that the C++ code takes


def make_env(
    name: str = FAMILY.default,
    num_envs: int | None = None,
    *,
    num_levels: int = 0,
    start_level: int = 0,
    distribution_mode: str = "hard",
    render_mode: str | None = None,
    **kwargs: Any,
) -> "GymnasiumPufferEnv | PufferEnv":
    """Return the task `name`, flat, with episode statistics; or many games of it as one.

    At an episode's end `info` has, besides `episode_return` and `episode_length`: `solved`, 1.0 if
    the level was completed, and `level`, its seed.

    The games end an episode after 500 to 6,000 steps; that is a truncation here. They start the
    next level in the same step, so the last observation of an episode is not available and the one
    before it is used.

    With `num_envs` it is a native environment: that many games, one per row, stepped in this
    process by one call to C++. Each game has its own generator of levels, seeded from the one seed.
    It pays off where a step is short, see docs/benchmarks.md.

    Args:
        name: one of `FAMILY.tasks`.
        num_envs: games of one native environment; one ordinary environment if None.
        num_levels: how many levels there are to draw from; 0 for all. 200 (easy) and 500 (hard)
            are usual to train on, and 0 to test on.
        start_level: seed of the first of them; with num_levels only.
        distribution_mode: "easy", "hard", "extreme", "memory" or "exploration"; all games have the
            first two. "exploration" is one level, and takes neither of the two arguments above.
        render_mode: "rgb_array" renders at 512 x 512, at a cost in each step; not for native
            environments.
        **kwargs: passed to `ProcgenGym3Env` (`use_backgrounds`, `use_sequential_levels` ...).

    Raises:
        ArgumentError: a mode that the game does not have, a number out of range, an unknown option,
            or arguments that exclude each other.
    """
    FAMILY.check(name, render_mode)
    num_levels = whole_number("num_levels", num_levels, 0, _LARGEST)
    start_level = whole_number("start_level", start_level, 0, _LARGEST)
    if start_level and not num_levels:
        raise ArgumentError(
            f"start_level is the first of num_levels levels; got start_level={start_level} without "
            f"num_levels, which plays all levels. Give both."
        )
    if start_level + num_levels > _LARGEST:
        raise ArgumentError(
            f"start_level + num_levels must be at most {_LARGEST}; got {start_level} + "
            f"{num_levels}."
        )
    if num_envs is not None:
        num_envs = whole_number("num_envs", num_envs, most=_LARGEST)
    kwargs = _checked_options(kwargs)
    _check_mode(name, distribution_mode, bool(num_levels))
    if render_mode and num_envs is not None:
        raise ArgumentError(
            f"render_mode must be None with num_envs; got render_mode={render_mode!r}, "
            f"num_envs={num_envs}."
        )
    from pufferlib.registry._procgen_env import ProcgenGame, ProcgenGames, game_options

    levels = {"num_levels": num_levels, "start_level": start_level}
    options = game_options(
        name.split("-")[1],
        distribution_mode,
        **({} if distribution_mode == "exploration" else levels),
        **kwargs,
    )
    if num_envs is not None:
        return ProcgenGames(num_envs, options)
    from pufferlib.emulation import GymnasiumPufferEnv
    from pufferlib.wrappers import EpisodeStats

    return GymnasiumPufferEnv(EpisodeStats(ProcgenGame(options, render_mode)))


def _checked_options(options: dict[str, Any]) -> dict[str, Any]:
    """Return options of `ProcgenGym3Env`; raise for unknown ones, which would end the process."""
    for option in options:
        if option not in _OPTIONS:
            raise ArgumentError(
                f"Procgen takes no option {option!r}.{suggestion(option, _OPTIONS)} "
                f"Give some of {', '.join(_OPTIONS)}."
            )
    return {
        option: whole_number(option, value, 0, _LARGEST) if option in _COUNTS else value
        for option, value in options.items()
    }


def _check_mode(name: str, mode: str, are_levels_chosen: bool) -> None:
    modes = [known for known, games in _GAMES_OF_MODE.items() if name in games]
    if mode not in modes:
        raise ArgumentError(
            f"distribution_mode of {name} must be one of {', '.join(modes)}; got {mode!r}."
        )
    if mode == "exploration" and are_levels_chosen:
        raise ArgumentError(
            "distribution_mode='exploration' is one level. Leave out num_levels and start_level."
        )


env_creator = creator_of(FAMILY, make_env)
