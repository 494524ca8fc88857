"""Crafter: an open world to survive in, with 22 achievements.

Source: https://github.com/danijar/crafter   License: MIT
Cite: Hafner 2022, Benchmarking the Spectrum of Agent Capabilities, arXiv:2109.06780.
Install: make install ENV=crafter
Observations: Box(0, 255, (64, 64, 3), uint8). Actions: Discrete(17). One agent.
Deterministic under a seed through a fix made here: the package itself iterates over sets of objects
in the order of their addresses.
"""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pufferlib.exceptions import ArgumentError
from pufferlib.registry._family import Family, creator_of, lazily

if TYPE_CHECKING:
    from pufferlib.emulation import GymnasiumPufferEnv

FAMILY = Family(
    name="crafter",
    package="crafter",
    default="CrafterReward-v1",
    tasks=("CrafterNoReward-v1", "CrafterReward-v1"),
    render_modes=("rgb_array",),
)
__getattr__ = lazily(Policy="pufferlib.policies.pixels:NatureCNN")


def make_env(
    name: str = FAMILY.default, render_mode: str | None = None, **kwargs: Any
) -> "GymnasiumPufferEnv":
    """Return the task `name`, flat, with episode statistics.

    At an episode's end `info` has, besides `episode_return` and `episode_length`: for each
    achievement, `achievement_collect_wood` for example, 1.0 if it was unlocked and else 0.0, whose
    means over episodes are the success rates of `score`; and `achievements`, how many were.

    Death terminates an episode; 10,000 steps truncate it.

    Args:
        name: one of `FAMILY.tasks`; CrafterNoReward-v1 gives no rewards.
        render_mode: "rgb_array" renders at 512 x 512, when asked only.
        **kwargs: passed to `crafter.Env` (`area`, `view`, `size`, `length`); `size` is the width
            and the height of an image.

    Raises:
        ArgumentError: `reward` is given, which the task decides.
    """
    FAMILY.check(name, render_mode)
    if "reward" in kwargs:
        raise ArgumentError(
            f"Whether Crafter gives rewards is said by the task; got reward={kwargs['reward']!r} "
            f"for {name}. Leave out reward, and make CrafterReward-v1 or CrafterNoReward-v1."
        )
    from pufferlib.emulation import GymnasiumPufferEnv
    from pufferlib.registry._crafter_env import CrafterGame
    from pufferlib.wrappers import EpisodeStats

    game = CrafterGame(render_mode, reward=name == "CrafterReward-v1", **kwargs)
    return GymnasiumPufferEnv(EpisodeStats(game))


def score(success_rates: Iterable[float]) -> float:
    """Return the Crafter score in percent, the geometric mean of success rates (section 3.4).

    Args:
        success_rates: of each of the 22 achievements, in [0, 1].
    """
    logs = [math.log(1 + 100 * rate) for rate in success_rates]
    return math.exp(sum(logs) / len(logs)) - 1


env_creator = creator_of(FAMILY, make_env)
