"""Overcooked: two cooks share a kitchen and serve soup; 43 kitchens of Overcooked-AI.

Source: https://github.com/HumanCompatibleAI/overcooked_ai   License: none stated in the
package
Cite: Carroll et al. 2019, On the Utility of Learning about Humans for Human-AI Coordination,
arXiv:1910.05789.
Install: make install ENV=overcooked
Observations: Box(0.0, inf, (width, height, 26), float32), the lossless encoding: Box(0.0, inf, (5,
4, 26), float32) in cramped_room, up to (14, 9, 26) in corridor. Actions: Discrete(6). 2 agents.
Deterministic: the game has no random elements.
"""

from typing import TYPE_CHECKING

from pufferlib.arguments import finite_number, whole_number
from pufferlib.registry._family import Family, creator_of, lazily

if TYPE_CHECKING:
    from pufferlib.emulation import PettingZooPufferEnv

FAMILY = Family(
    name="overcooked",
    package="overcooked_ai_py",
    needs=("gym", "pygame"),
    default="overcooked/cramped_room",
    tasks=(
        "overcooked/asymmetric_advantages",
        "overcooked/asymmetric_advantages_tomato",
        "overcooked/bonus_order_test",
        "overcooked/bottleneck",
        "overcooked/centre_objects",
        "overcooked/centre_pots",
        "overcooked/coordination_ring",
        "overcooked/corridor",
        "overcooked/counter_circuit",
        "overcooked/counter_circuit_o_1order",
        "overcooked/cramped_corridor",
        "overcooked/cramped_room",
        "overcooked/cramped_room_o_3orders",
        "overcooked/cramped_room_tomato",
        "overcooked/five_by_five",
        "overcooked/forced_coordination",
        "overcooked/forced_coordination_tomato",
        "overcooked/inverse_marshmallow_experiment",
        "overcooked/large_room",
        "overcooked/long_cook_time",
        "overcooked/m_shaped_s",
        "overcooked/marshmallow_experiment",
        "overcooked/marshmallow_experiment_coordination",
        "overcooked/mdp_test",
        "overcooked/pipeline",
        "overcooked/scenario1_s",
        "overcooked/scenario2",
        "overcooked/scenario2_s",
        "overcooked/scenario3",
        "overcooked/scenario4",
        "overcooked/schelling",
        "overcooked/schelling_s",
        "overcooked/simple_o",
        "overcooked/simple_o_t",
        "overcooked/simple_tomato",
        "overcooked/small_corridor",
        "overcooked/soup_coordination",
        "overcooked/tutorial_0",
        "overcooked/tutorial_1",
        "overcooked/tutorial_2",
        "overcooked/tutorial_3",
        "overcooked/unident",
        "overcooked/you_shall_not_pass",
    ),
    stale_pins=("overcooked-ai",),  # asks for pygame, which owns the folder of pygame-ce
    render_modes=("rgb_array",),
)
__getattr__ = lazily(Policy="pufferlib.policies.local_grid:Policy")


def make_env(
    name: str = FAMILY.default,
    horizon: int = 400,
    shaped_reward: float = 0.0,
    render_mode: str | None = None,
) -> "PettingZooPufferEnv":
    """Return the task `name`, flat, with statistics of each agent's episode.

    Both cooks are paid for each soup that either serves. At an episode's end an agent's info has,
    besides its return and length, `soups` (served by both) and `sparse_return` (what these paid).

    Args:
        name: one of `FAMILY.tasks`.
        horizon: steps after which an episode is truncated.
        shaped_reward: weight of rewards for an agent's own useful actions (an onion into the pot,
            a dish fetched, a soup taken); the authors start training with 1; 0 turns them off.
        render_mode: "rgb_array" draws the kitchen, None nothing. Drawing costs nothing until asked
            for.

    Raises:
        ArgumentError: `horizon` is not a whole number, or below 1; `shaped_reward` is not a
            finite number.
    """
    FAMILY.check(name, render_mode)
    horizon = whole_number("horizon", horizon)
    shaped_reward = finite_number("shaped_reward", shaped_reward)
    from pufferlib.registry._emulated import emulate_agents
    from pufferlib.registry._overcooked_env import Kitchen

    return emulate_agents(Kitchen(name.partition("/")[2], horizon, shaped_reward, render_mode))


env_creator = creator_of(FAMILY, make_env)
