"""Small environments and helpers for the tests of training."""

from typing import ClassVar

import gymnasium
import numpy as np
import pettingzoo
import torch
from gymnasium.spaces import Dict, Discrete

from pufferlib.agent_policies import PolicyRows
from pufferlib.environment import PufferEnv
from pufferlib.training.collector import Collector
from pufferlib.training.policy_runner import PolicyRunner
from pufferlib.training.profile import Profile
from pufferlib.training.recorder import Recorder

EPISODE_STEPS = 5


class Roster(PufferEnv):
    """Three agents: one plays whole episodes, one leaves after two steps, one never takes part.

    Observes (step of the episode, a random number, 1). The reward is 1 for the action that the sign
    of the random number names. Episodes of 5 steps end by termination and truncation in turn.
    """

    num_agents = 3

    def __init__(self, buffers=None):
        self.single_observation_space = gymnasium.spaces.Box(-10, 10, (3,), np.float32)
        self.single_action_space = gymnasium.spaces.Discrete(2)
        super().__init__(buffers)

    def reset(self, seed=None):
        self.random = np.random.default_rng(seed)
        self.episode = 0
        self.rewards[:] = 0
        self.terminals[:] = self.truncations[:] = False
        self._begin()
        return self.observations, []

    def step(self, actions):
        self.count += 1
        acted = self.masks.copy()
        self.rewards[:] = acted & (actions == (self.observations[:, 1] > 0))
        is_last = self.count == EPISODE_STEPS
        is_cut = is_last and self.episode % 2 == 0
        self.terminals[:] = acted & is_last & (not is_cut)
        self.terminals[1] |= acted[1] and self.count == 2
        self.truncations[:] = acted & is_cut
        if is_last:
            self._fill(self.final_observations)
            self._begin()
        else:
            self.masks &= ~self.terminals
            self._fill(self.observations)
        return self.observations, self.rewards, self.terminals, self.truncations, []

    def _begin(self):
        self.episode, self.count = self.episode + 1, 0
        self.masks[:] = [True, True, False]
        self._fill(self.observations)

    def _fill(self, rows):
        rows[:, 0], rows[:, 1], rows[:, 2] = self.count, self.random.normal(size=3), 1
        rows[~self.masks] = 0


class Constant(gymnasium.Env):
    """Rewards every step with 1; episodes of 5 steps end as `is_truncated` says."""

    observation_space = gymnasium.spaces.Box(0, 10, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, is_truncated):
        self.is_truncated = is_truncated

    def reset(self, *, seed=None, options=None):
        self.count = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.count += 1
        ended = self.count == EPISODE_STEPS
        observation = np.array([self.count], np.float32)
        return observation, 1.0, ended and not self.is_truncated, ended and self.is_truncated, {}


class Dial(gymnasium.Env):
    """Episodes of one step; the reward is minus the distance to a target, as a share of the range.

    Args:
        action_space: a Box with finite bounds, or a Tuple of a Discrete, which has no effect, and
            such a Box.
        target: an action of the Box.
    """

    observation_space = gymnasium.spaces.Box(0, 1, (1,), np.float32)

    def __init__(self, action_space, target):
        self.action_space, self.target = action_space, target

    def reset(self, *, seed=None, options=None):
        return np.ones(1, np.float32), {}

    def step(self, action):
        box = self.action_space
        if isinstance(box, gymnasium.spaces.Tuple):
            (_, action), (_, box) = action, box.spaces
        distances = np.abs(action.astype(float) - self.target) / (box.high.astype(float) - box.low)
        return np.ones(1, np.float32), -float(distances.mean()), True, False, {}


class OneValue(torch.nn.Module):
    """A policy that gives every observation the same value and the same logits."""

    def __init__(self):
        super().__init__()
        self.logits = torch.nn.Parameter(torch.zeros(2))
        self.value = torch.nn.Parameter(torch.zeros(1))

    def forward(self, observations):
        rows = len(observations)
        return self.logits.expand(rows, 2), self.value.expand(rows, 1)


def collector_of(vecenv, policy, horizon, scale=None, profile=None, opponents=None):
    """Return a collector that steps `vecenv` with one policy, on the CPU."""
    cpu, profile = torch.device("cpu"), profile or Profile()
    runner = PolicyRunner(policy, vecenv.num_agents, cpu)
    part = PolicyRows("", policy)
    recorder = Recorder(vecenv, part, runner, horizon, cpu, scale, profile)
    return Collector(vecenv, [recorder], horizon, profile, opponents=opponents)


def weights_of(trainer):
    """Return all weights and buffers in one tensor."""
    parts = trainer.policy.state_dict().values()
    return torch.cat([part.detach().double().flatten() for part in parts])


class Signals(pettingzoo.ParallelEnv):
    """Three agents name the signals that they see; each leaves after 4 steps more than another."""

    metadata: ClassVar = {"name": "signals"}
    possible_agents = ("long", "short", "middle")
    lengths: ClassVar = {"long": 12, "short": 4, "middle": 8}
    render_mode = None

    def observation_space(self, agent):
        return Dict(signal=Discrete(4), place=Discrete(3))

    def action_space(self, agent):
        return Discrete(4)

    def reset(self, seed=None, options=None):
        if seed is not None or not hasattr(self, "random"):
            self.random = np.random.default_rng(seed)
        self.agents, self.now = list(self.possible_agents), 0
        return self._look(), {agent: {} for agent in self.agents}

    def step(self, actions):
        rewards = {a: float(actions[a] == self.seen[a]) for a in self.agents}
        self.now += 1
        ended = {a: self.now == self.lengths[a] for a in self.agents}
        observations, infos = self._look(), {a: {} for a in self.agents}
        ends = {a: ended[a] and a != "short" for a in self.agents}
        cuts = {a: ended[a] and a == "short" for a in self.agents}
        self.agents = [a for a in self.agents if not ended[a]]
        return observations, rewards, ends, cuts, infos

    def _look(self):
        self.seen = {agent: int(self.random.integers(4)) for agent in self.agents}
        return {
            agent: {"signal": self.seen[agent], "place": self.possible_agents.index(agent)}
            for agent in self.agents
        }
