"""Multiagent: each agent of a game has a different correct action."""

import numpy as np
import pettingzoo
from gymnasium.spaces import Box, Discrete

from pufferlib.annotations import Action, Observation, Options, ParallelReset, ParallelStep
from pufferlib.arguments import whole_number


class Multiagent(pettingzoo.ParallelEnv[str, Observation, Action]):
    """A PettingZoo parallel environment in which each agent has a different correct action.

    Tests that observations, actions and rewards of agents are not mixed up. A game is one step.
    The reward of agent i is 1 for action i and 0 for any other, and so is its `score`.

    The optimal score is 1; a random policy scores 1 / players: 0.5.

    Observation: Box(0, 1, (players,)), 1 at the agent's own place and 0 elsewhere. Action:
    Discrete(players). Agents: "agent_0", "agent_1" ...

    Args:
        players: agents of a game.

    Raises:
        ArgumentError: fewer than two players.
    """

    metadata = {"name": "multiagent_v0", "render_modes": ["ansi"]}  # noqa: RUF012  (as Gymnasium declares it)
    render_mode: str | None = "ansi"

    def __init__(self, players: int = 2) -> None:
        players = whole_number("players", players, least=2)
        self.possible_agents = [f"agent_{place}" for place in range(players)]
        self.agents: list[str] = []
        self.observation_spaces = {
            agent: Box(0, 1, (players,), np.float32) for agent in self.possible_agents
        }
        self.action_spaces = {agent: Discrete(players) for agent in self.possible_agents}
        self._actions: dict[str, Action] = {}

    def observation_space(self, agent: str) -> Box:
        """Return the space of one agent; all agents have equal ones."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> Discrete:
        """Return the space of one agent; all agents have equal ones."""
        return self.action_spaces[agent]

    def reset(self, seed: int | None = None, options: Options | None = None) -> ParallelReset[str]:
        """Start a game; return (observations, infos). Nothing is drawn from `seed`."""
        self.agents = self.possible_agents[:]
        self._actions = {}
        return self._observations(), {agent: {} for agent in self.agents}

    def step(self, actions: dict[str, Action]) -> ParallelStep[str]:
        """Act, which ends the game; return (observations, rewards, terminations, ... infos)."""
        self._actions = actions
        rewards = {agent: float(actions[agent] == place) for place, agent in enumerate(self.agents)}
        infos = {agent: {"score": reward} for agent, reward in rewards.items()}
        observations = self._observations()
        terminations = dict.fromkeys(self.agents, True)
        truncations = dict.fromkeys(self.agents, False)
        self.agents = []
        return observations, rewards, terminations, truncations, infos

    def render(self) -> str | None:
        """Return the game as text: each agent, and what it did, `_` if nothing yet."""
        if self.render_mode is None:
            return None
        return "\n".join(
            f"{agent}: {self._actions.get(agent, '_')}" for agent in self.possible_agents
        )

    def _observations(self) -> dict[str, Observation]:
        places = np.eye(len(self.possible_agents), dtype=np.float32)
        return dict(zip(self.agents, places, strict=True))
