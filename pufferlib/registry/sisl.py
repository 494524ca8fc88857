"""SISL: walkers that carry a load together, pursuers that surround evaders.

Source: https://pettingzoo.farama.org/environments/sisl/   License: MIT
Cite: Gupta, Egorov and Kochenderfer 2017, Cooperative Multi-Agent Control Using Deep Reinforcement
Learning.
Install: make install ENV=sisl
Observations: Box(-inf, inf, (31,), float32) multiwalker, Box(0.0, 30.0, (7, 7, 3), float32)
pursuit. Actions: Box(-1.0, 1.0, (4,), float32) multiwalker, Discrete(5) pursuit. 3 agents in
multiwalker, 8 in pursuit.
Deterministic under a seed.
"""

import warnings
from typing import TYPE_CHECKING, Any

from pufferlib.registry._family import Family, creator_of, lazily

if TYPE_CHECKING:
    from pufferlib.emulation import PettingZooPufferEnv

FAMILY = Family(
    name="sisl",
    package="pettingzoo",
    needs=("Box2D", "pygame", "scipy"),
    default="multiwalker_v9",
    tasks=("multiwalker_v9", "pursuit_v5"),
    samples=("multiwalker_v9", "pursuit_v5"),
    render_modes=("rgb_array", "human"),
)
__getattr__ = lazily(Policy="pufferlib.policies.local_grid:policy")


def make_env(
    name: str = FAMILY.default, render_mode: str | None = None, **kwargs: Any
) -> "PettingZooPufferEnv":
    """Return the task `name`, flat, with statistics of each agent's episode.

    At the end of an agent's episode its info has `episode_return` and `episode_length`.

    Args:
        name: one of `FAMILY.tasks`.
        render_mode: "rgb_array" or "human".
        **kwargs: passed to `pettingzoo.make` (`max_cycles`, `n_walkers`, `n_pursuers` ...).

    Raises:
        ArgumentError: there is no such render mode.
    """
    FAMILY.check(name, render_mode)
    import pettingzoo

    from pufferlib.registry._emulated import emulate_agents
    from pufferlib.registry._sisl_env import SislEpisode

    with warnings.catch_warnings():
        # Of Box2D's binding; where warnings are errors, the import would end the process.
        warnings.filterwarnings("ignore", "builtin type [sS]wig", DeprecationWarning)
        env = pettingzoo.make("parallel", f"sisl/{name}", render_mode=render_mode, **kwargs)
    return emulate_agents(SislEpisode(env))


env_creator = creator_of(FAMILY, make_env)
