"""Neural MMO: many agents that forage, fight and trade in one large world.

Source: https://github.com/NeuralMMO/environment   License: MIT
Cite: Suarez et al. 2023, Neural MMO 2.0: A Massively Multi-task Addition to Massively Multi-agent
Learning, arXiv:2311.03736.
Install: make install ENV=nmmo
Observations: Dict, bytes when flat (30 KB an agent): 'ActionTargets' a mask for each part of an
action, Dict('Attack': Dict('Style': Box(0, 1, (3,), int8), 'Target': Box(0, 1, (101,), int8)),
'Buy': Dict('MarketItem': Box(0, 1, (385,), int8)), 'Comm': Dict('Token': Box(0, 1, (127,), int8)),
'Destroy': Dict('InventoryItem': Box(0, 1, (13,), int8)), 'Give': Dict('InventoryItem': Box(0, 1,
(13,), int8), 'Target': Box(0, 1, (101,), int8)), 'GiveGold': Dict('Price': Box(0, 1, (99,), int8),
'Target': Box(0, 1, (101,), int8)), 'Move': Dict('Direction': Box(0, 1, (5,), int8)), 'Sell':
Dict('InventoryItem': Box(0, 1, (13,), int8), 'Price': Box(0, 1, (99,), int8)), 'Use':
Dict('InventoryItem': Box(0, 1, (13,), int8))), 'AgentId' Discrete(65) NMMO-Small, Discrete(129)
NMMO-Medium, Discrete(1025) NMMO-Large, 'Communication' Box(-32768, 32767, (32, 4), int16),
'CurrentTick' Discrete(32767), 'Entity' Box(-32768, 32767, (100, 31), int16), 'Inventory'
Box(-32768, 32767, (12, 16), int16), 'Market' Box(-32768, 32767, (384, 16), int16), 'Task'
Box(-3.277e+04, 3.277e+04, (4096,), float16), 'Tile' Box(-32768, 32767, (225, 3), int16).
Actions: MultiDiscrete when flat, Dict('Attack': Dict('Style': Discrete(3), 'Target':
Discrete(101)), 'Buy': Dict('MarketItem': Discrete(385)), 'Comm': Dict('Token': Discrete(127)),
'Destroy': Dict('InventoryItem': Discrete(13)), 'Give': Dict('InventoryItem': Discrete(13),
'Target': Discrete(101)), 'GiveGold': Dict('Price': Discrete(99), 'Target': Discrete(101)), 'Move':
Dict('Direction': Discrete(5)), 'Sell': Dict('InventoryItem': Discrete(13), 'Price': Discrete(99)),
'Use': Dict('InventoryItem': Discrete(13))).
Agents: 64 NMMO-Small, 128 NMMO-Medium, 1024 NMMO-Large, all alike; agents that die are absent.
Deterministic under a seed.
"""

from typing import TYPE_CHECKING, Any

from pufferlib.registry._family import Family, creator_of, lazily

if TYPE_CHECKING:
    from pufferlib.emulation import PettingZooPufferEnv

FAMILY = Family(
    name="nmmo",
    package="nmmo",
    needs=("dill", "imageio", "ordered_set", "psutil", "scipy", "tqdm"),
    default="NMMO-Medium",
    tasks=("NMMO-Large", "NMMO-Medium", "NMMO-Small"),
    samples=("NMMO-Small",),
    stale_pins=("nmmo",),  # nmmo 2.1.2 asks for numpy == 1.23.3 and others; it runs on 2.4
    render_modes=("rgb_array",),
)
__getattr__ = lazily(Policy="pufferlib.policies.nmmo:Policy")


def make_env(
    name: str = FAMILY.default,
    num_agents: int | None = None,
    render_mode: str | None = None,
    **settings: Any,
) -> "PettingZooPufferEnv":
    """Return the task `name`, flat, with a row for each agent and statistics of each.

    A task is a size of the world, those of `nmmo.config`, with all of its game systems: NMMO-Medium
    is `nmmo.config.Default`. When an agent dies or time is up, its info has, besides
    `episode_return` and `episode_length`: `exploration` (tiles from where it began),
    `player_kills`, `damage_inflicted`, `damage_received`, `level` (of its best weapon skill) and
    `task_progress` in [0, 1]. Agents are named "agent_1", "agent_2" ... after the numbers that the
    package gives them.

    Args:
        name: one of `FAMILY.tasks`.
        num_agents: of the world; the task's own number if None.
        render_mode: "rgb_array" draws the whole map, None nothing. Drawing costs nothing until
            asked for.
        **settings: attributes of `nmmo.config` to change, by their names there:
            `HORIZON=256`, `NPC_N=16`, `MAP_N=8` ...

    Raises:
        ArgumentError: an unknown setting, or one of another type than its default; fewer than one
            agent, or more than there are starting places (128 on the map of NMMO-Small).
    """
    FAMILY.check(name, render_mode)
    from pufferlib.registry._emulated import emulate_agents
    from pufferlib.registry._named_agents import NamedAgents
    from pufferlib.registry._nmmo_env import World

    if num_agents is not None:
        settings["PLAYER_N"] = num_agents
    world = World(name.removeprefix("NMMO-"), settings, render_mode)
    return emulate_agents(NamedAgents(world))


env_creator = creator_of(FAMILY, make_env)
