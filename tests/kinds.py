"""The kinds of agents in an environment: their spaces, before they are equalized."""

from typing import Any

from gymnasium.spaces import Dict


def kinds_of_bare(env: Any) -> list[tuple[Any, Any]]:
    """Return the different (observation space, action space) of the agents, in order."""
    found: list[tuple[Any, Any]] = []
    for agent in env.possible_agents:
        kind = env.observation_space(agent), env.action_space(agent)
        if kind not in found:
            found.append(kind)
    return found


def kinds_of_emulated(env: Any) -> list[tuple[Any, Any]]:
    """Return the same for a `PettingZooPufferEnv`, with or without `EqualSpaceTeams`."""
    observation, action = env.observation_layout.structure, env.action_layout.structure
    if not isinstance(action, Dict):
        return [(observation, action)]
    return [(observation[team], action[team]) for team in action]
