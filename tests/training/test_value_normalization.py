"""Values are learned in normalized units, and used in those of the returns."""

import math

import pytest
import torch
from environments import Sampler
from gymnasium.spaces import Box, Discrete
from torch import nn

from pufferlib import vector
from pufferlib.exceptions import SettingError
from pufferlib.ppo import TrainConfig, Trainer
from pufferlib.training.value_normalization import ReturnNormalizer

ALL = torch.ones(2, 2, dtype=torch.bool)


def test_statistics_cover_all_valid_returns_so_far():
    normalizer = ReturnNormalizer()
    values = torch.tensor([1.0, -2.0])
    assert torch.equal(normalizer.normalize(values), values)  # nothing seen yet
    normalizer.update(torch.tensor([[2.0, 4.0], [6.0, 999.0]]), torch.tensor([[1, 1], [1, 0]]) > 0)
    # 2, 4, 6: mean 4, variance 8 / 3.
    expected = torch.tensor([-3.0, -6.0]) / math.sqrt(8 / 3)
    torch.testing.assert_close(normalizer.normalize(values), expected)
    torch.testing.assert_close(normalizer.denormalize(expected), values)
    normalizer.update(torch.tensor([[8.0, 10.0], [12.0, 14.0]]), ALL)
    # 2, 4, ..., 14: mean 8, variance (36 + 16 + 4) * 2 / 7 = 16.
    assert normalizer.normalize(torch.tensor(16.0)) == pytest.approx(2.0)
    assert normalizer.denormalize(torch.tensor(-1.0)) == pytest.approx(4.0)
    normalizer.update(torch.full((2, 2), 999.0), ~ALL)
    assert normalizer.state_dict() == pytest.approx({"count": 7, "mean": 8, "variance": 16})


def test_processes_share_their_statistics():
    # The other process has 10 and 14; this one 0 and 4. Of all four: mean 7, variance 29.
    sums = iter([torch.tensor([4.0, 28.0]), torch.tensor(116.0)])
    normalizer = ReturnNormalizer()
    normalizer.update(torch.tensor([[0.0, 4.0]]), ALL[:1], lambda own: next(sums))
    assert normalizer.state_dict() == {"count": 4, "mean": 7, "variance": 29}


def test_returns_that_hardly_vary_are_not_blown_up():
    normalizer = ReturnNormalizer()
    normalizer.update(torch.zeros(2, 2), ALL)
    assert normalizer.normalize(torch.tensor(1.0)) == pytest.approx(10.0)  # a deviation of 0.1


class Constant(nn.Module):
    """A policy that predicts one number, a weight, as the value of every state."""

    def __init__(self, value):
        super().__init__()
        self.value, self.logits = nn.Parameter(torch.tensor(value)), nn.Parameter(torch.zeros(2))

    def forward(self, observations):
        rows = len(observations)
        return self.logits.expand(rows, 2), self.value.expand(rows, 1)


def trainer_of(value, **settings):
    vecenv = vector.make(Sampler, [Box(-1, 1, (3,)), Discrete(2)], num_envs=2)
    torch.manual_seed(0)
    config = TrainConfig(horizon=4, minibatches=1, update_epochs=1, **settings)
    return Trainer(config, vecenv, Constant(value))


def test_the_value_loss_is_of_normalized_returns():
    trainer = trainer_of(0.5, normalize_returns=True)
    rollout = trainer.collect()
    assert torch.equal(rollout.values, torch.full((5, 2), 0.5))
    # Terminal rewards: each return is its reward. Mean 2500, deviation 1500.
    rollout.rewards[:] = torch.tensor([1000.0, 4000.0])
    rollout.terminals[:], rollout.valid[:] = True, True
    metrics = trainer.update(rollout)
    # Half of the mean of (0.5 + 1) ** 2 and (0.5 - 1) ** 2.
    assert metrics["loss/value"] == pytest.approx((2.25 + 0.25) / 4, rel=1e-5)
    rollout = trainer.collect()
    predicted = trainer.policy.value.item()
    torch.testing.assert_close(rollout.values, torch.full((5, 2), 2500 + 1500 * predicted))


def test_a_checkpoint_keeps_the_statistics_and_refuses_the_other_units(tmp_path):
    first = trainer_of(0.5, normalize_returns=True)
    first.step()
    first.save(tmp_path / "checkpoint.pt")
    second = trainer_of(0.5, normalize_returns=True)
    second.load(tmp_path / "checkpoint.pt")
    state = second.state_dict()["algorithm"]["normalizer"]
    assert state == first.state_dict()["algorithm"]["normalizer"]
    assert state["count"] > 0
    with pytest.raises(SettingError, match=r"normalize_returns cannot change within a run.* False"):
        trainer_of(0.5).load(tmp_path / "checkpoint.pt")
    trainer_of(0.5).save(tmp_path / "plain.pt")
    with pytest.raises(SettingError, match=r"normalize_returns cannot change within a run.* True"):
        second.load(tmp_path / "plain.pt")
