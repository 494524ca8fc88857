"""MAgent: hundreds of agents that fight, hunt and gather in a grid.

Source: https://magent2.farama.org   License: MIT
Cite: Zheng et al. 2018, MAgent: A Many-Agent Reinforcement Learning Platform, arXiv:1712.00600.
Install: make install ENV=magent
Observations: Box(0.0, 2.0, (13, 13, 5), float32) battle and battlefield, Box(0.0, 2.0, (15, 15, 5),
float32) gather. Actions: Discrete(21) battle and battlefield, Discrete(33) gather. In the others
agents differ, and `EqualSpaceTeams` makes them alike, a Dict with a part for each kind:
adversarial_pursuit Box(0.0, 2.0, (10, 10, 5), float32) with Discrete(13), Box(0.0, 2.0, (9, 9, 5),
float32) with Discrete(9); combined_arms Box(0.0, 2.0, (13, 13, 9), float32) with Discrete(9), the
same with Discrete(25); tiger_deer Box(0.0, 2.0, (3, 3, 5), float32) with Discrete(5), Box(0.0, 2.0,
(9, 9, 5), float32) with Discrete(9).
24 agents in battlefield, 75 in adversarial_pursuit, 121 in tiger_deer, 162 in battle and
combined_arms, 495 in gather; they die one by one.
Deterministic under a seed.
"""

import importlib
from typing import TYPE_CHECKING, Any

from pufferlib.registry._family import Family, creator_of, lazily

if TYPE_CHECKING:
    from pufferlib.emulation import PettingZooPufferEnv

FAMILY = Family(
    name="magent",
    package="magent2",
    default="battle_v4",
    tasks=(
        "adversarial_pursuit_v4",
        "battle_v4",
        "battlefield_v5",
        "combined_arms_v6",
        "gather_v5",
        "tiger_deer_v4",
    ),
    samples=("battlefield_v5", "tiger_deer_v4", "battle_v4"),
    render_modes=("rgb_array", "human"),
)
__getattr__ = lazily(Policy="pufferlib.policies.local_grid:Policy")


def make_env(
    name: str = FAMILY.default, render_mode: str | None = None, **kwargs: Any
) -> "PettingZooPufferEnv":
    """Return the task `name`, flat, with statistics of each agent's episode.

    At the end of an agent's episode its info has `episode_return` and `episode_length`.

    Args:
        name: one of `FAMILY.tasks`.
        render_mode: "rgb_array" or "human"; both need pygame.
        **kwargs: passed to the task (`map_size`, `max_cycles`, `minimap_mode` and its rewards).

    Raises:
        ArgumentError: there is no such render mode.
    """
    FAMILY.check(name, render_mode)
    from pufferlib.registry._emulated import emulate_agents
    from pufferlib.registry._magent_env import CurrentPictures

    module = importlib.import_module(f"magent2.environments.{name}")
    env = module.parallel_env(render_mode=render_mode, **kwargs)
    env.unwrapped.seed()  # else the engine starts with the same seed in all of them
    return emulate_agents(CurrentPictures(env))


env_creator = creator_of(FAMILY, make_env)
