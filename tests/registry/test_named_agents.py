"""Agents named by numbers get names of text; nothing else changes."""

import numpy as np
import pettingzoo
import pytest
from gymnasium.spaces import Box, Discrete

from pufferlib.registry._named_agents import NamedAgents


class Numbered(pettingzoo.ParallelEnv):
    """Agents 3, 5 and 8; each step the first of them leaves, terminated."""

    metadata = {"name": "numbered"}  # noqa: RUF012  # as PettingZoo declares it
    render_mode = None

    def __init__(self):
        self.possible_agents = [3, 5, 8]
        self.agents = None  # as Neural MMO does before the first reset
        self.spaces = {agent: Box(0, agent, (1,)) for agent in self.possible_agents}
        self.action_spaces = {agent: Discrete(agent) for agent in self.possible_agents}

    def observation_space(self, agent):
        return self.spaces[agent]

    def action_space(self, agent):
        return self.action_spaces[agent]

    def observe(self):
        return {agent: np.full(1, agent, np.float32) for agent in self.agents}

    def reset(self, seed=None, options=None):
        self.agents = list(self.possible_agents)
        return self.observe(), {agent: {} for agent in self.agents}

    def step(self, actions):
        self.actions = actions
        observations, acting, self.agents = self.observe(), self.agents, self.agents[1:]
        return (
            observations,
            {agent: float(agent) for agent in acting},
            {agent: agent == acting[0] for agent in acting},
            dict.fromkeys(acting, False),
            {agent: {"number": agent} for agent in acting},
        )


def test_every_dict_is_by_name_and_the_environment_gets_its_numbers():
    env = NamedAgents(Numbered())
    assert (env.possible_agents, env.agents) == (["agent_3", "agent_5", "agent_8"], [])
    assert env.observation_space("agent_5") is env.observation_space("agent_5")
    assert env.action_space("agent_8").n == 8
    observations, infos = env.reset(seed=0)
    assert {name: row.tolist() for name, row in observations.items()} == {
        "agent_3": [3],
        "agent_5": [5],
        "agent_8": [8],
    }
    assert infos == {"agent_3": {}, "agent_5": {}, "agent_8": {}}
    _, rewards, terminations, truncations, infos = env.step(
        {"agent_8": 1, "agent_3": 2, "agent_5": 0}
    )
    assert env.unwrapped.actions == {8: 1, 3: 2, 5: 0}
    assert rewards == {"agent_3": 3, "agent_5": 5, "agent_8": 8}
    assert terminations == {"agent_3": True, "agent_5": False, "agent_8": False}
    assert truncations == dict.fromkeys(rewards, False)
    assert infos["agent_8"] == {"number": 8}
    assert env.agents == ["agent_5", "agent_8"]


# pettingzoo.test imports PettingZoo's environments in a way that PettingZoo has deprecated.
@pytest.mark.filterwarnings("ignore:The old environment creation API:DeprecationWarning")
def test_it_passes_pettingzoos_own_test():
    from pettingzoo.test import parallel_api_test

    parallel_api_test(NamedAgents(Numbered()), num_cycles=50)
