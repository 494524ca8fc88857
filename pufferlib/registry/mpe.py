"""Multi-agent particle environments (MPE): points that move, push, hide, chase and talk.

Source: https://mpe2.farama.org   Licence: MIT
Cite: Lowe et al. 2017, Multi-Agent Actor-Critic for Mixed Cooperative-Competitive Environments,
arXiv:1706.02275; Mordatch and Abbeel 2018, arXiv:1703.04908.
Install: make install ENV=mpe
Observations: Box(-inf, inf, (n,), float32). Actions: Discrete(m).
simple 4 and 5; simple_formation 6 and 5; simple_line 8 and 5; simple_reference 21 and 50;
simple_spread 18 and 5. In the others agents differ, and `EqualSpaceTeams` makes them alike, a Dict
with a part for each kind: collect_treasure 86, 84 and 5, 5; simple_adversary 8, 10 and 5, 5;
simple_crypto 4, 8 and 4, 4; simple_push 8, 19 and 5, 5; simple_speaker_listener 3, 11 and 3, 5;
simple_tag 16, 14 and 5, 5; simple_world_comm 34, 34, 28 and 20, 5, 5. 1 to 8 agents.
Deterministic under a seed.
"""

import importlib
from typing import Any

from pufferlib.registry._family import Family, creator_of, lazily

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
)
__getattr__ = lazily(Policy="pufferlib.models:Default")


def make_env(
    name: str = FAMILY.default, render_mode: str | None = "rgb_array", **kwargs: Any
) -> Any:
    """Return the task `name`, flat, with statistics of each agent's episode.

    Args:
        name: one of `FAMILY.tasks`.
        render_mode: "rgb_array" or "human".
        **kwargs: passed to the scenario (`max_cycles`, `continuous_actions`, `N` ...).
    """
    FAMILY.check(name)
    from pufferlib.registry._agents import emulated

    module = importlib.import_module(f"mpe2.{name}")
    return emulated(module.parallel_env(render_mode=render_mode, **kwargs))


env_creator = creator_of(FAMILY, make_env)
