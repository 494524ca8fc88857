"""Name agents by text, as PettingZoo asks, where the author named them by numbers."""

from typing import TypeVar

import pettingzoo

from pufferlib.annotations import (
    Action,
    Agent,
    Options,
    ParallelReset,
    ParallelStep,
    Space,
    UserEnv,
)

_Value = TypeVar("_Value")


class NamedAgents(pettingzoo.utils.BaseParallelWrapper):
    """Name the agents of a parallel environment `agent_<its own name>`.

    Args:
        env: the environment.

    Attributes:
        possible_agents: the names as text, in the order of the environment.
    """

    def __init__(self, env: UserEnv) -> None:
        super().__init__(env)
        self._names = {agent: f"agent_{agent}" for agent in env.possible_agents}
        self._agents = {name: agent for agent, name in self._names.items()}
        self.possible_agents = list(self._agents)

    @property
    def agents(self) -> list[str]:
        """The agents now alive."""
        return [self._names[agent] for agent in self.env.agents or ()]

    def observation_space(self, agent: str) -> Space:
        """Return the agent's observation space."""
        return self.env.observation_space(self._agents[agent])

    def action_space(self, agent: str) -> Space:
        """Return the agent's action space."""
        return self.env.action_space(self._agents[agent])

    def reset(self, seed: int | None = None, options: Options | None = None) -> ParallelReset[str]:
        """Start an episode; return (observations, infos)."""
        observations, infos = self.env.reset(seed=seed, options=options)
        return self._named(observations), self._named(infos)

    def step(self, actions: dict[str, Action]) -> ParallelStep[str]:
        """Take one step; return (observations, rewards, terminations, truncations, infos)."""
        chosen = {self._agents[agent]: action for agent, action in actions.items()}
        observations, rewards, terminations, truncations, infos = self.env.step(chosen)
        return (
            self._named(observations),
            self._named(rewards),
            self._named(terminations),
            self._named(truncations),
            self._named(infos),
        )

    def _named(self, values: dict[Agent, _Value]) -> dict[str, _Value]:
        return {self._names[agent]: value for agent, value in values.items()}
