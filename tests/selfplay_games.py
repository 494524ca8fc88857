"""Games whose results say who played, and players that do not learn."""

import os
from pathlib import Path
from typing import ClassVar

import numpy as np
import pettingzoo
import torch
from gymnasium.spaces import Box, Discrete

LIVES = (4, 2, 3)  # steps of each agent in a game
MIXED = 50  # the return of an agent whose actions differed within a game


class Ledger(pettingzoo.ParallelEnv):
    """Three agents that leave at different steps; the return of each shows which actions it played.

    An agent observes (the step of the game, its number, its last action, -1 at first). It receives
    0.125 a step and, with the last one, its action if it played that one only, else `MIXED`, plus
    ten times its number.

    Args:
        crash: a file; the process that first plays the sixth game of an environment makes it and
            dies in the middle of that game.
    """

    metadata: ClassVar = {"name": "ledger"}
    possible_agents = ("a", "b", "c")
    render_mode = None

    def __init__(self, crash=None):
        self.crash, self.games = crash, 0

    def observation_space(self, agent):
        return Box(-1, 100, (3,), np.float32)

    def action_space(self, agent):
        return Discrete(10)

    def reset(self, seed=None, options=None):
        self.agents, self.now, self.games = list(self.possible_agents), 0, self.games + 1
        self.played = {agent: [] for agent in self.agents}
        return {agent: self._look(agent) for agent in self.agents}, {a: {} for a in self.agents}

    def step(self, actions):
        self.now += 1
        if self.games == 6 and self.now == 2 and self.crash and not Path(self.crash).exists():
            Path(self.crash).touch()
            os._exit(1)
        playing, rewards, ends = self.agents, {}, {}
        for agent in playing:
            self.played[agent].append(int(actions[agent]))
            number = self.possible_agents.index(agent)
            ends[agent] = self.now == LIVES[number]
            only = set(self.played[agent])
            last = 10 * number + (only.pop() if len(only) == 1 else MIXED)
            rewards[agent] = 0.125 + last * ends[agent]
        self.agents = [agent for agent in playing if not ends[agent]]
        infos = {agent: {"share": 1.0} if ends[agent] else {} for agent in playing}
        looks = {agent: self._look(agent) for agent in playing}
        return looks, rewards, ends, dict.fromkeys(playing, False), infos

    def _look(self, agent):
        played = self.played[agent]
        last = played[-1] if played else -1
        return np.array([self.now, self.possible_agents.index(agent), last], np.float32)


def expected_returns(actions):
    """Return the returns of a game in which each agent played one action only."""
    return [10 * k + action + 0.125 * LIVES[k] for k, action in enumerate(actions)]


class Constant:
    """Plays one action; checks that it is reset where a game begins, and sees no absent agent."""

    def __init__(self, action):
        self.action, self.is_new = action, False

    def reset(self):
        self.is_new = True

    def __call__(self, observation):
        assert self.is_new == (observation[0] == 0)
        assert observation.any()
        self.is_new = False
        return self.action


three, seven = Constant(3), Constant(7)


def attacks(observation):
    return 13  # in MAgent's battle, the cell at the upper left


def illegal(observation):
    return 10


def fails(observation):
    raise KeyError("a position it does not know")


class Always(torch.nn.Module):
    """A policy that plays action 0; `spread` makes it play all actions alike."""

    def __init__(self, spread=False):
        super().__init__()
        first = 0.0 if spread else 1e6
        self.logits = torch.nn.Parameter(torch.tensor([first] + [0.0] * 9))

    def forward(self, observations):
        rows = len(observations)
        return self.logits.expand(rows, 10), torch.zeros(rows, 1) + 0 * self.logits[:1]
