"""The Behaviour Suite: small tasks that each ask for one ability of an agent.

Source: https://github.com/google-deepmind/bsuite   License: Apache-2.0
Cite: Osband et al. 2020, Behaviour Suite for Reinforcement Learning, arXiv:1908.03568.
Install: make install ENV=bsuite
Observations: Box(-inf, inf, (1, 1), float32) bandit, Box(-inf, inf, (1, 6), float32) cartpole,
Box(-inf, inf, (1, 8), float32) cartpole_swingup, Box(-inf, inf, (10, 10), float32) deep_sea,
Box(-inf, inf, (1, 2), float32) discounting_chain, Box(-inf, inf, (1, 3), float32) memory and
mountain_car, Box(-inf, inf, (1, 4), float32) umbrella_distract, Box(-inf, inf, (1, 23), float32)
umbrella_length; Box(0.0, 1.0, (10, 5), float32) catch. Actions: Discrete(11) bandit, Discrete(3)
cartpole, catch and mountain_car, Discrete(2) deep_sea, memory and umbrella, Discrete(5)
discounting_chain. One agent.
Deterministic under a seed.
Left out: the three mnist tasks, which download their digits.
"""

import functools
from typing import TYPE_CHECKING, Any

from pufferlib.exceptions import ArgumentError
from pufferlib.registry._family import Family, creator_of, lazily

if TYPE_CHECKING:
    from pufferlib.emulation import GymnasiumPufferEnv

FAMILY = Family(
    name="bsuite",
    package="bsuite",
    default="bsuite/catch-v0",
    tasks=(
        "bsuite/bandit-v0",
        "bsuite/bandit_noise-v0",
        "bsuite/bandit_scale-v0",
        "bsuite/cartpole-v0",
        "bsuite/cartpole_noise-v0",
        "bsuite/cartpole_scale-v0",
        "bsuite/cartpole_swingup-v0",
        "bsuite/catch-v0",
        "bsuite/catch_noise-v0",
        "bsuite/catch_scale-v0",
        "bsuite/deep_sea-v0",
        "bsuite/deep_sea_stochastic-v0",
        "bsuite/discounting_chain-v0",
        "bsuite/memory_len-v0",
        "bsuite/memory_size-v0",
        "bsuite/mountain_car-v0",
        "bsuite/mountain_car_noise-v0",
        "bsuite/mountain_car_scale-v0",
        "bsuite/umbrella_distract-v0",
        "bsuite/umbrella_length-v0",
    ),
    samples=(
        "bsuite/catch-v0",
        "bsuite/cartpole_noise-v0",
        "bsuite/deep_sea_stochastic-v0",
        "bsuite/memory_len-v0",
    ),
    render_modes=("rgb_array",),
)
__getattr__ = lazily(Policy="pufferlib.models:Default")


def make_env(
    name: str = FAMILY.default,
    setting: int = 0,
    render_mode: str | None = None,
    **kwargs: Any,
) -> "GymnasiumPufferEnv":
    """Return the task `name`, flat, with episode statistics.

    At an episode's end `info` has, besides `episode_return` and `episode_length`, what the task
    counts for its score (`total_regret`, `total_bad_episodes` ...) since the last seed.

    Args:
        name: one of `FAMILY.tasks`.
        setting: which of the experiment's settings, from 0 for the easiest as in bsuite's
            "deep_sea/0".
        render_mode: "rgb_array", what is observed in shades of gray, or None.
        **kwargs: of the experiment, in place of those of the setting (`size`, `mapping_seed`,
            `noise_scale`, `memory_length` ...).

    Raises:
        ArgumentError: the experiment has no such setting, or a seed was given: `reset` takes it.
    """
    FAMILY.check(name, render_mode)
    if "seed" in kwargs:
        raise ArgumentError(
            f"make_env takes no seed; got seed={kwargs['seed']!r}. Give it to reset: "
            f"env.reset(seed={kwargs['seed']!r})."
        )
    from pufferlib.emulation import GymnasiumPufferEnv
    from pufferlib.registry._bsuite_env import build, picture, scores, settings_of
    from pufferlib.registry._dm_env import DmEnv
    from pufferlib.wrappers import EpisodeStats

    experiment = name.removeprefix("bsuite/").removesuffix("-v0")
    chosen = settings_of(experiment, setting) | kwargs
    env = DmEnv(functools.partial(build, experiment, chosen), picture, render_mode)
    return GymnasiumPufferEnv(EpisodeStats(env, scores))


env_creator = creator_of(FAMILY, make_env)
