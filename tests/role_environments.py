"""Environments whose agents have unlike roles."""

from typing import ClassVar

import numpy as np
import pettingzoo
from gymnasium.spaces import Box, Discrete


class Roles(pettingzoo.ParallelEnv):
    """Two givers and a taker observe the same, and must act differently: 0 and 1.

    An episode has `steps` steps, and each right action is worth 1. One policy can do no better than
    act as a giver for all: 2/3 a step on average. Two policies reach 1.

    Args:
        steps: of an episode.
        cut: the taker leaves the game before this step; None: it stays.
        wage: what a right action of the taker is worth.
        is_truncated: episodes end by truncation, except that of a taker that leaves.
        is_shown: observe the agent's place, and the step counted from 1, in place of ones.
    """

    metadata: ClassVar = {"name": "roles"}
    possible_agents: ClassVar = ["giver_0", "taker_0", "giver_1"]
    right: ClassVar = {"giver_0": 0, "taker_0": 1, "giver_1": 0}
    render_mode = None

    def __init__(self, steps=4, cut=None, wage=1.0, is_truncated=False, is_shown=False):
        self.steps, self.cut, self.wage = steps, cut, wage
        self.is_truncated, self.is_shown = is_truncated, is_shown
        space, actions = Box(-9, 9, (2,), np.float32), Discrete(2)
        self.observation_spaces = dict.fromkeys(self.possible_agents, space)
        self.action_spaces = dict.fromkeys(self.possible_agents, actions)

    def observation_space(self, agent):
        return self.observation_spaces[agent]

    def action_space(self, agent):
        return self.action_spaces[agent]

    def reset(self, seed=None, options=None):
        self.agents, self.now = list(self.possible_agents), 0
        return self._look(), {agent: {} for agent in self.agents}

    def step(self, actions):
        self.now += 1
        rewards = {agent: float(actions[agent] == self.right[agent]) for agent in self.agents}
        if "taker_0" in rewards:
            rewards["taker_0"] *= self.wage
        is_end = self.now == self.steps
        leaves = {a: a == "taker_0" and self.now == self.cut for a in self.agents}
        ends = {a: leaves[a] or (is_end and not self.is_truncated) for a in self.agents}
        cuts = {a: is_end and not ends[a] for a in self.agents}
        seen, infos = self._look(), {agent: {} for agent in self.agents}
        self.agents = [agent for agent in self.agents if not ends[agent] and not cuts[agent]]
        return seen, rewards, ends, cuts, infos

    def _look(self):
        if not self.is_shown:
            return {agent: np.ones(2, np.float32) for agent in self.agents}
        places = {agent: self.possible_agents.index(agent) for agent in self.agents}
        return {agent: np.array([places[agent], self.now + 1], np.float32) for agent in self.agents}


class Blind(Roles):
    """A giver sees the reward of all, 1 or -1 at random; the taker does not. Actions do nothing."""

    possible_agents: ClassVar = ["giver_0", "taker_0"]

    def reset(self, seed=None, options=None):
        if seed is not None:
            self.random = np.random.default_rng(seed)
        return super().reset(seed, options)

    def step(self, actions):
        signs = dict.fromkeys(self.agents, self.sign)
        seen, _, *rest = super().step(actions)
        return seen, signs, *rest

    def _look(self):
        self.sign = float(self.random.choice([-1, 1]))
        signs = {"giver_0": self.sign, "taker_0": 0}
        return {agent: np.array([1, signs[agent]], np.float32) for agent in self.agents}
