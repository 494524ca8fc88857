"""highway-env: driving in traffic, parking, keeping a lane.

Source: https://highway-env.farama.org   License: MIT
Cite: Leurent 2018, An Environment for Autonomous Driving Decision-Making.
Install: make install ENV=highway
Observations: Box(-inf, inf, (5, 5), float32) highway, merge and roundabout: five vehicles, oneself
first; Box(-inf, inf, (15, 7), float32) exit and intersection, Box(-inf, inf, (5, 8), float32)
intersection-v1; Box(-inf, inf, (2, 12, 12), float32) racetrack; Box(0.0, 1.0, (3, 3, 5), float32)
two-way and Box(0.0, 1.0, (3, 3, 16), float32) u-turn; parking Dict('achieved_goal', 'desired_goal',
'observation': Box(-inf, inf, (6,), float64)); lane-keeping Dict('derivative', 'reference_state',
'state': Box(-inf, inf, (4, 1), float64)). Actions: Discrete(5), Discrete(3) intersection, Box(-1.0,
1.0, (2,), float32) parking and intersection-v1, Box(-1.0, 1.0, (1,), float32) racetrack and
lane-keeping. One agent; two agents intersection-multi-agent.
Deterministic under a seed.
Slow: tens of steps a second, most of them for the other drivers; highway-fast has fewer.
"""

import warnings
from typing import TYPE_CHECKING, Any

from pufferlib.registry._family import Family, creator_of, lazily

if TYPE_CHECKING:
    from pufferlib.emulation import GymnasiumPufferEnv, PettingZooPufferEnv

FAMILY = Family(
    name="highway",
    package="highway_env",
    default="highway-fast-v0",
    tasks=(
        "exit-v0",
        "exit-v1",
        "highway-fast-v0",
        "highway-v0",
        "intersection-multi-agent-v0",
        "intersection-multi-agent-v1",
        "intersection-multi-agent-v2",
        "intersection-v0",
        "intersection-v1",
        "intersection-v2",
        "lane-keeping-v0",
        "merge-generic-v0",
        "merge-generic-v1",
        "merge-v0",
        "merge-v1",
        "parking-ActionRepeat-v0",
        "parking-parked-v0",
        "parking-v0",
        "racetrack-large-v0",
        "racetrack-large-v1",
        "racetrack-oval-v0",
        "racetrack-oval-v1",
        "racetrack-v0",
        "racetrack-v1",
        "roundabout-generic-v0",
        "roundabout-generic-v1",
        "roundabout-v0",
        "roundabout-v1",
        "two-way-v0",
        "u-turn-v0",
        "u-turn-v1",
    ),
    samples=("parking-v0", "two-way-v0", "lane-keeping-v0", "highway-fast-v0"),
    render_modes=("rgb_array", "human"),
)
__getattr__ = lazily(Policy="pufferlib.policies.by_observation:policy_of")

_TAKE_NO_RENDER_MODE = ("lane-keeping-v0", "parking-ActionRepeat-v0", "parking-parked-v0")


def make_env(
    name: str = FAMILY.default, render_mode: str | None = None, **kwargs: Any
) -> "GymnasiumPufferEnv | PettingZooPufferEnv":
    """Return the task `name`, flat, with episode statistics.

    At an episode's end `info` has, besides `episode_return` and `episode_length`: `crashed` (not
    in lane-keeping) and `success` (in exit and parking), 1.0 or 0.0; with several agents, for each.

    Args:
        name: one of `FAMILY.tasks`.
        render_mode: "rgb_array" or "human"; the first needs no display.
        **kwargs: passed to `gymnasium.make` (`max_episode_steps`) and to the task (`config`, a dict
            of what differs from its `default_config()`, the spaces too; two of parking take none).

    Raises:
        ArgumentError: there is no such render mode.
    """
    FAMILY.check(name, render_mode)
    import gymnasium
    import highway_env  # noqa: F401  (registers the tasks)

    from pufferlib.emulation import GymnasiumPufferEnv, PettingZooPufferEnv
    from pufferlib.registry._highway_env import Drivers, driver_behavior, idle
    from pufferlib.registry._pygame_close import PygameEpisodeStats, PygameMultiAgentEpisodeStats
    from pufferlib.registry._tuple_agents import TupleAgents

    with warnings.catch_warnings(), driver_behavior(kwargs.get("config"), {}):
        # Keep tasks that have a newer version.
        warnings.filterwarnings("ignore", ".*is out of date", DeprecationWarning)
        if name not in _TAKE_NO_RENDER_MODE:
            kwargs["render_mode"] = render_mode
        env = gymnasium.make(name, disable_env_checker=True, **kwargs)
    world: Any = env.unwrapped
    world.render_mode = render_mode
    env = Drivers(env)
    if "multi-agent" in name:
        return PettingZooPufferEnv(PygameMultiAgentEpisodeStats(TupleAgents(env, idle(world))))
    return GymnasiumPufferEnv(PygameEpisodeStats(env))


env_creator = creator_of(FAMILY, make_env)
