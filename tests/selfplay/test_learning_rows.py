"""What opponents saw, did and received changes no weight of the learner, bit for bit."""

import gymnasium
import numpy as np
import pettingzoo
import pytest
import torch

from pufferlib import vector
from pufferlib.models import Default, LSTMWrapper, NormalizedObservations
from pufferlib.ppo import PPOConfig
from pufferlib.selfplay.config import SelfPlayConfig
from pufferlib.selfplay.opponents import PoolOpponents
from pufferlib.training import Trainer
from pufferlib.vtrace import VTraceConfig

COMMON = {"horizon": 8, "total_timesteps": 10_000, "learning_rate": 0.01, "seed": 3}
ALGORITHMS = {
    "ppo": lambda: PPOConfig(
        **COMMON, minibatches=2, normalize_rewards=True, normalize_returns=True
    ),
    "vtrace": lambda: VTraceConfig(**COMMON),
}


class Noise(pettingzoo.ParallelEnv):
    """Two agents see noise; games of 3 steps, in which the higher action wins."""

    metadata = {"name": "noise"}  # noqa: RUF012
    possible_agents = ("one", "two")
    render_mode = None

    def observation_space(self, agent):
        return gymnasium.spaces.Box(-10, 10, (4,), np.float32)

    def action_space(self, agent):
        return gymnasium.spaces.Discrete(3)

    def reset(self, seed=None, options=None):
        if seed is not None:
            self.random = np.random.default_rng(seed)
        self.agents, self.now = list(self.possible_agents), 0
        return self._look(), {agent: {} for agent in self.agents}

    def step(self, actions):
        self.now += 1
        difference = float(np.sign(int(actions["one"]) - int(actions["two"])))
        is_end = self.now == 3
        playing = self.agents
        self.agents = [] if is_end else playing
        ends = dict.fromkeys(playing, is_end)
        rewards = {"one": difference, "two": -difference}
        return self._look(playing), rewards, ends, dict.fromkeys(playing, False), {}

    def _look(self, agents=possible_agents):
        return {agent: self.random.normal(size=4).astype(np.float32) for agent in agents}


def trainer_of(algorithm, is_recurrent, folder):
    vecenv = vector.make(Noise, num_envs=8)
    torch.manual_seed(5)
    policy = NormalizedObservations(vecenv, Default(vecenv))
    if is_recurrent:
        policy = LSTMWrapper(vecenv, policy)
    config = SelfPlayConfig(opponents="uniform", self_share=0.25)
    opponents = PoolOpponents(config, vecenv, (0, 1), policy, folder, "noise")
    return Trainer(ALGORITHMS[algorithm](), vecenv, policy, opponents=opponents)


def changed(rollout, generator):
    """Replace all that the rollout holds of the rows that the learner did not play."""
    others = ~rollout.valid
    count = int(others.sum())
    assert 0 < count < others.numel() / 2
    rollout.observations[others] = 9 * torch.rand(count, 4, generator=generator)
    rollout.actions[others] = torch.randint(3, (count,), generator=generator)
    for tensor in (rollout.rewards, rollout.log_probabilities, rollout.final_values):
        tensor[others] = torch.rand(count, generator=generator) - 2
    rollout.values[:-1][others] = torch.rand(count, generator=generator)
    flags = torch.rand(count, generator=generator) < 0.5
    rollout.terminals[others], rollout.truncations[others] = flags, ~flags


@pytest.mark.parametrize("is_recurrent", [False, True], ids=["plain", "memory"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_rows_of_opponents_change_no_weight(algorithm, is_recurrent, tmp_path):
    states = []
    for kind in ("as played", "changed", "the learner's changed"):
        trainer = trainer_of(algorithm, is_recurrent, tmp_path)
        for _ in range(2):
            rollout = trainer.collect()
            if kind == "changed":
                changed(rollout, torch.Generator().manual_seed(1))
            if kind == "the learner's changed":
                rollout.rewards[rollout.valid] += 1
            trainer.update(rollout)
        states.append(
            {**trainer.policy.state_dict(), "scale": trainer.state_dict()["reward_scale"]}
        )
    for name, value in states[0].items():
        same = value == states[1][name]
        assert same if isinstance(same, bool) else same.all(), name
    weights = [state for state in states[0] if state.endswith("weight")]
    assert any((states[0][name] != states[2][name]).any() for name in weights)


class Early(Noise):
    """The first agent leaves after the first step, the second after the 300th."""

    def step(self, actions):
        self.now += 1
        playing = self.agents
        ends = {agent: agent == "one" or self.now == 300 for agent in playing}
        self.agents = [agent for agent in playing if not ends[agent]]
        rewards = dict.fromkeys(playing, 1.0)
        return self._look(playing), rewards, ends, dict.fromkeys(playing, False), {}


def test_weights_stay_while_only_opponents_act(tmp_path):
    vecenv = vector.make(Early, num_envs=1)
    config = SelfPlayConfig(opponents="uniform", self_share=0.0)
    policy = NormalizedObservations(vecenv, Default(vecenv))
    opponents = PoolOpponents(config, vecenv, (0, 1), policy, tmp_path, "early")
    trainer = Trainer(ALGORITHMS["ppo"](), vecenv, policy, opponents=opponents)
    states = []
    for _ in range(25):  # of 8 steps; more than the twenty updates in which some agent must act
        trainer.step()
        states.append([part.clone() for part in trainer.policy.parameters()])
    assert trainer.timesteps == 1
    for state in states[1:]:
        assert all(map(torch.equal, state, states[0]))
