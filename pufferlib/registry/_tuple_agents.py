"""Several equal agents that a Gymnasium environment keeps in Tuples, as a PettingZoo one."""

from typing import Any

import gymnasium
import numpy as np
import pettingzoo

from pufferlib.environment import Info


class TupleAgents(pettingzoo.ParallelEnv[str, Any, Any]):
    """Give each item of an environment's Tuple spaces an agent of its own.

    Rewards and ends that are not told apart hold for every agent, and so does each value of a
    step's info that is not a tuple. An agent that has terminated is gone; the environment is given
    `idle` for it until all are.

    Args:
        env: its observations and actions are Tuples of one space each, over and over.
        idle: the action of an agent that is gone.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], idle: Any) -> None:
        self.env = env
        self.metadata = {**env.metadata, "name": str(env)}
        self.render_mode = env.render_mode
        spaces: Any = env.observation_space
        self._idle = idle
        self.possible_agents = [f"agent_{number}" for number in range(len(spaces))]
        self.agents: list[str] = []
        self._spaces = dict(zip(self.possible_agents, spaces, strict=True))
        actions: Any = env.action_space
        self._action_spaces = dict(zip(self.possible_agents, actions, strict=True))

    @property
    def unwrapped(self) -> Any:
        """The environment inside."""
        return self.env.unwrapped

    def observation_space(self, agent: str) -> gymnasium.Space[Any]:
        """Return the space of an agent's observations, always the same object."""
        return self._spaces[agent]

    def action_space(self, agent: str) -> gymnasium.Space[Any]:
        """Return the space of an agent's actions, always the same object."""
        return self._action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Info]]:
        """Start an episode; return (observations, infos), by agent."""
        observations, info = self.env.reset(seed=seed, options=options)
        self.agents = list(self.possible_agents)
        return self._by_agent(observations), {agent: dict(info) for agent in self.agents}

    def step(
        self, actions: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, float], dict[str, bool], dict[str, bool], dict[str, Info]]:
        """Take one step; return (observations, rewards, terminations, truncations, infos)."""
        given = tuple(actions.get(agent, self._idle) for agent in self.possible_agents)
        observations, rewards, terminated, truncated, info = self.env.step(given)
        result = (
            self._by_agent(observations),
            self._by_agent(self._each(rewards, float)),
            self._by_agent(self._each(terminated, bool)),
            self._by_agent(self._each(truncated, bool)),
            self._by_agent([_part(info, at) for at in range(len(self.possible_agents))]),
        )
        _, _, terminations, truncations, _ = result
        self.agents = [a for a in self.agents if not (terminations[a] or truncations[a])]
        return result

    def render(self) -> Any:
        """Return what the environment draws."""
        return self.env.render()

    def close(self) -> None:
        """Close the environment."""
        self.env.close()

    def _each(self, values: Any, kind: type) -> list[Any]:
        return [kind(value) for value in np.broadcast_to(values, len(self.possible_agents))]

    def _by_agent(self, values: Any) -> dict[str, Any]:
        """Return the values of the agents that are there."""
        every = dict(zip(self.possible_agents, values, strict=True))
        return {agent: every[agent] for agent in self.agents}


def _part(info: Info, number: int) -> Info:
    """Return what an info tells one of the agents."""
    return {key: told[number] if isinstance(told, tuple) else told for key, told in info.items()}
