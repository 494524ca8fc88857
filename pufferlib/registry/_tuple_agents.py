"""A Gymnasium environment with Tuples of equal agents as a PettingZoo environment."""

from typing import Any

import numpy as np
import pettingzoo

from pufferlib.annotations import (
    Action,
    GymnasiumEnv,
    Kwargs,
    Observation,
    Options,
    ParallelReset,
    ParallelStep,
    Rendered,
    Space,
    Structure,
    UserEnv,
)
from pufferlib.environment import Info


class TupleAgents(pettingzoo.ParallelEnv[str, Observation, Action]):
    """Make each item of an environment's Tuple spaces an agent.

    Rewards and ends that are not tuples apply to every agent, and so does each value of a step's
    info that is not a tuple. An agent that has terminated is removed; the environment gets `idle`
    as its action until all agents have terminated.

    Args:
        env: its observations and actions are Tuples that repeat one space.
        idle: the action of a removed agent.
    """

    def __init__(self, env: GymnasiumEnv, idle: Action) -> None:
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
    def unwrapped(self) -> UserEnv:
        """The environment inside."""
        return self.env.unwrapped

    def observation_space(self, agent: str) -> Space:
        """Return the space of an agent's observations, always the same object."""
        return self._spaces[agent]

    def action_space(self, agent: str) -> Space:
        """Return the space of an agent's actions, always the same object."""
        return self._action_spaces[agent]

    def reset(self, seed: int | None = None, options: Options | None = None) -> ParallelReset[str]:
        """Start an episode; return (observations, infos), by agent."""
        observations, info = self.env.reset(seed=seed, options=options)
        self.agents = list(self.possible_agents)
        return self._by_agent(observations), {agent: dict(info) for agent in self.agents}

    def step(self, actions: dict[str, Action]) -> ParallelStep[str]:
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

    def render(self) -> Rendered:
        """Return the environment's rendering."""
        return self.env.render()

    def close(self) -> None:
        """Close the environment."""
        self.env.close()

    def _each(self, values: Structure, kind: type) -> list[Structure]:
        return [kind(value) for value in np.broadcast_to(values, len(self.possible_agents))]

    def _by_agent(self, values: Any) -> Kwargs:
        """Return the values of the agents that are alive."""
        every = dict(zip(self.possible_agents, values, strict=True))
        return {agent: every[agent] for agent in self.agents}


def _part(info: Info, number: int) -> Info:
    """Return the part of an info that belongs to one agent."""
    return {
        key: value[number] if isinstance(value, tuple) else value for key, value in info.items()
    }
