"""What families of several agents share."""

from typing import Any

from pufferlib.emulation import PettingZooPufferEnv
from pufferlib.wrappers import EqualSpaceTeams, MultiAgentEpisodeStats


def emulated(
    env: Any, stats: type[MultiAgentEpisodeStats] = MultiAgentEpisodeStats
) -> PettingZooPufferEnv:
    """Return a parallel environment flat, with statistics of each agent's episode.

    Agents whose spaces differ are made alike by `EqualSpaceTeams`.
    """
    env = stats(env)
    first, *others = env.possible_agents
    spaces = env.observation_space(first), env.action_space(first)
    are_alike = all((env.observation_space(a), env.action_space(a)) == spaces for a in others)
    return PettingZooPufferEnv(env if are_alike else EqualSpaceTeams(env))
