"""Multi-agent particle environments (MPE): points that move, push, hide, chase and talk.

Source: https://mpe2.farama.org   License: MIT
Cite: Lowe et al. 2017, Multi-Agent Actor-Critic for Mixed Cooperative-Competitive Environments,
arXiv:1706.02275; Mordatch and Abbeel 2018, arXiv:1703.04908.
Install: make install ENV=mpe
Observations: Box(-inf, inf, (4,), float32) simple, Box(-inf, inf, (6,), float32) simple_formation,
Box(-inf, inf, (8,), float32) simple_line, Box(-inf, inf, (21,), float32) simple_reference,
Box(-inf, inf, (18,), float32) simple_spread. Actions: Discrete(50) simple_reference, Discrete(5)
the other four. In the others agents differ, and `EqualSpaceTeams` makes them alike, a Dict with a
part for each kind: collect_treasure Box(-inf, inf, (86,), float32) and Box(-inf, inf, (84,),
float32), both with Discrete(5); simple_adversary Box(-inf, inf, (8,), float32) and Box(-inf, inf,
(10,), float32) with Discrete(5); simple_crypto Box(-inf, inf, (4,), float32) and Box(-inf, inf,
(8,), float32) with Discrete(4); simple_push Box(-inf, inf, (8,), float32) and Box(-inf, inf, (19,),
float32) with Discrete(5); simple_speaker_listener Box(-inf, inf, (3,), float32) with Discrete(3),
Box(-inf, inf, (11,), float32) with Discrete(5); simple_tag Box(-inf, inf, (16,), float32) and
Box(-inf, inf, (14,), float32) with Discrete(5); simple_world_comm Box(-inf, inf, (34,), float32)
with Discrete(20), the same and Box(-inf, inf, (28,), float32) with Discrete(5).
Agents: 1 simple, 2 simple_push, simple_reference and simple_speaker_listener, 3 simple_adversary,
simple_crypto and simple_spread, 4 simple_formation, simple_line and simple_tag, 6
simple_world_comm, 8 collect_treasure.
Deterministic under a seed.
"""

import importlib
from typing import TYPE_CHECKING, Any

from pufferlib.registry._family import Family, creator_of, lazily

if TYPE_CHECKING:
    from pufferlib.emulation import PettingZooPufferEnv

FAMILY = Family(
    name="mpe",
    package="mpe2",
    default="simple_spread_v3",
    tasks=(
        "collect_treasure_v1",
        "simple_adversary_v3",
        "simple_crypto_v3",
        "simple_formation_v1",
        "simple_line_v1",
        "simple_push_v3",
        "simple_reference_v3",
        "simple_speaker_listener_v4",
        "simple_spread_v3",
        "simple_tag_v3",
        "simple_v3",
        "simple_world_comm_v3",
    ),
    samples=("simple_spread_v3", "simple_speaker_listener_v4", "simple_world_comm_v3"),
    render_modes=("rgb_array", "human"),
)
__getattr__ = lazily(Policy="pufferlib.models:Default")


def make_env(
    name: str = FAMILY.default, render_mode: str | None = None, **kwargs: Any
) -> "PettingZooPufferEnv":
    """Return the task `name`, flat, with statistics of each agent's episode.

    At the end of an agent's episode its info has `episode_return` and `episode_length`.

    Args:
        name: one of `FAMILY.tasks`.
        render_mode: "rgb_array" or "human".
        **kwargs: passed to the scenario (`max_cycles`, `continuous_actions`, `N` ...).

    Raises:
        ArgumentError: there is no such render mode.
    """
    FAMILY.check(name, render_mode)
    from pufferlib.registry._emulated import emulate_agents

    module = importlib.import_module(f"mpe2.{name}")
    env = module.parallel_env(render_mode=render_mode, **kwargs)
    return emulate_agents(env)


env_creator = creator_of(FAMILY, make_env)
