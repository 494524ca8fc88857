"""An environment that knows an evaluation from training, by the seed of its reset."""

import os
import random
import signal

import gymnasium
import numpy as np
import pettingzoo
import torch

from pufferlib.environment import PufferEnv

FIRST_SEED = 2_000_000  # of evaluations, the default of eval.seed
LENGTH = 4
closed_after_evaluation = []  # how each of those environments behaved


class Aware(gymnasium.Env):
    """Episodes of four steps, whose observations and rewards depend on global random generators.

    Args:
        in_evaluation: what an episode does there: "same" ends too, "endless" does not, "interrupt"
            sends Ctrl+C to the process in its second step, "fail" raises there.
    """

    observation_space = gymnasium.spaces.Box(-10, 10, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, in_evaluation="same"):
        self._behavior, self._is_evaluation = in_evaluation, False
        np.random.rand()  # some draw from it when they are made

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        if seed is not None:
            self._is_evaluation = seed >= FIRST_SEED
        self._count = 0
        return self._drawn(), {}

    def step(self, action):
        self._count += 1
        behavior = self._behavior if self._is_evaluation else "same"
        if behavior == "interrupt" and self._count == 2:
            os.kill(os.getpid(), signal.SIGINT)
        if behavior == "fail" and self._count == 2:
            raise ValueError("no evaluation today")
        is_end = self._count == LENGTH and behavior != "endless"
        return self._drawn(), random.random() + action, is_end, False, {}

    def close(self):
        if self._is_evaluation:
            closed_after_evaluation.append(self._behavior)

    def _drawn(self):
        return np.array([np.random.rand(), torch.rand(1).item()], np.float32)


class Paid(gymnasium.Env):
    """Episodes of four steps, each of which is rewarded with `reward`."""

    observation_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, reward=100):
        self.reward = reward

    def reset(self, *, seed=None, options=None):
        self._count, self._current = 0, self.reward
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self._count += 1
        return np.zeros(1, np.float32), self._current, self._count == LENGTH, False, {}


def less(progress, metrics, attributes):
    """A curriculum: a reward that falls by one in every update, from 50."""
    return {"reward": attributes.get("reward", 51) - 1}


def drop(progress, metrics, attributes):
    """A curriculum: a reward of 100 in the first half of the training, then 1."""
    return {"reward": 100 if progress < 0.5 else 1}


class Leaving(pettingzoo.ParallelEnv):
    """Games of five steps that one agent leaves after two; a step is rewarded with the level."""

    def __init__(self):
        self.metadata = {"name": "leaving"}
        self.possible_agents, self.agents, self.level = ["stays", "leaves"], [], 0
        self._spaces = Paid.observation_space, Paid.action_space

    def observation_space(self, agent):
        return self._spaces[0]

    def action_space(self, agent):
        return self._spaces[1]

    def reset(self, seed=None, options=None):
        self.agents, self.steps, self.current = list(self.possible_agents), 0, self.level
        return dict.fromkeys(self.agents, np.zeros(1, np.float32)), {a: {} for a in self.agents}

    def step(self, actions):
        self.steps += 1
        playing, ends = self.agents, {"stays": self.steps == 5, "leaves": self.steps == 2}
        self.agents = [agent for agent in playing if not ends[agent]]
        return (
            dict.fromkeys(playing, np.zeros(1, np.float32)),
            dict.fromkeys(playing, float(self.current)),
            {agent: ends[agent] for agent in playing},
            dict.fromkeys(playing, False),
            {agent: {} for agent in playing},
        )


def rise(progress, metrics, attributes):
    """A curriculum: level 10 in the first half of the training, then 20."""
    return {"level": 10 if progress < 0.5 else 20}


class Silent(PufferEnv):
    """Episodes of four steps, each rewarded with 3, in a native environment without infos."""

    def __init__(self, buffers=None):
        self.single_observation_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)
        self.single_action_space = gymnasium.spaces.Discrete(2)
        self.num_agents = 1
        super().__init__(buffers)

    def reset(self, seed=None):
        self._count = 0
        self.observations[:] = self.rewards[:] = 0
        self.terminals[:] = self.truncations[:] = False
        self.masks[:] = True
        return self.observations, []

    def step(self, actions):
        self._count += 1
        self.rewards[:] = 3
        self.terminals[:] = self._count == LENGTH
        self._count %= LENGTH
        return self.observations, self.rewards, self.terminals, self.truncations, []
