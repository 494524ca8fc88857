"""Level-based foraging: agents of different levels gather food, alone or together.

Source: https://github.com/semitable/lb-foraging   License: MIT
Cite: Papoudakis et al. 2021, Benchmarking Multi-Agent Deep Reinforcement Learning Algorithms in
Cooperative Tasks, arXiv:2006.07869.
Install: make install ENV=lbforaging
Observations: row, column and level of each food and of each agent, oneself first, in (3 * foods + 3
* agents,): Box([-1. -1. ... -1. 0.], [7. 7. ... 7. 2.], (15,), float32) Foraging-8x8-2p-3f,
Box([-1. -1. ... -1. 0.], [9. 9. ... 9. 2.], (18,), float32) Foraging-2s-10x10-4p-2f-coop; with
`grid_observation=True` planes of agents, foods and free cells around oneself, (3, 2 * sight + 1, 2
* sight + 1). Actions: Discrete(6). Agents: 2 to 9, as the task says, all equal.
Deterministic under a seed.
Names: "-2s" sees two cells around, "-coop" is food for all together. The same on planes, which the
package can register too, are these with `grid_observation=True`.
"""

from itertools import product
from typing import TYPE_CHECKING, Any

from pufferlib.registry._family import Family, creator_of, lazily

if TYPE_CHECKING:
    from pufferlib.emulation import PettingZooPufferEnv

FAMILY = Family(
    name="lbforaging",
    package="lbforaging",
    default="Foraging-8x8-2p-3f-v3",
    tasks=tuple(
        f"Foraging{seen}-{size}x{size}-{agents}p-{foods}f{together}-v3"
        for size, agents, foods, together, seen in product(
            range(5, 20), range(2, 10), range(1, 5), ("-coop", ""), ("-2s", "")
        )
    ),
    samples=("Foraging-8x8-2p-3f-v3", "Foraging-2s-10x10-4p-2f-coop-v3"),
    render_modes=("rgb_array",),
)
__getattr__ = lazily(Policy="pufferlib.policies.by_observation:policy_of")


def make_env(
    name: str = FAMILY.default, render_mode: str | None = None, **kwargs: Any
) -> "PettingZooPufferEnv":
    """Return the task `name`, flat, with episode statistics.

    At an episode's end each agent's `info` has, besides `episode_return` and `episode_length`:
    `food_gathered`, the share of all levels of food.

    Args:
        name: one of `FAMILY.tasks`.
        render_mode: "rgb_array", food green, agents blue, darker for a higher level; or None.
        **kwargs: of the task (`max_episode_steps`, 50 if not given, `grid_observation`,
            `min_player_level`, `penalty` ...).
    """
    FAMILY.check(name, render_mode)
    import gymnasium
    import lbforaging  # noqa: F401  (registers the tasks)

    from pufferlib.registry._emulated import emulate_agents
    from pufferlib.registry._lbforaging_env import Foraging, ForagingEpisode
    from pufferlib.registry._tuple_agents import TupleAgents

    env = Foraging(**{**gymnasium.spec(name).kwargs, **kwargs})
    agents = TupleAgents(ForagingEpisode(env, render_mode), idle=0)
    return emulate_agents(agents)


env_creator = creator_of(FAMILY, make_env)
