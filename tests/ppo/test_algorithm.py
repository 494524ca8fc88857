"""The learning rate that PPO adapts to the KL divergence of its updates."""

import pytest
import torch
from environments import Sampler
from gymnasium.spaces import Box, Discrete

from pufferlib import vector
from pufferlib.models import Default
from pufferlib.ppo import TrainConfig, Trainer


def trainer_of(**settings):
    vecenv = vector.make(Sampler, [Box(-1, 1, (3,)), Discrete(4)], num_envs=2)
    torch.manual_seed(0)
    config = TrainConfig(horizon=8, minibatches=2, total_timesteps=160, **settings)
    return Trainer(config, vecenv, Default(vecenv, hidden_size=8))


@pytest.mark.parametrize(
    ("kl_adaptive", "learning_rates"),
    [
        (1e-12, [9e-3, 6e-3, 4e-3, 4e-3 / 1.5]),  # every update moves the policy further
        (1e6, [9e-3, 1e-2, 1e-2, 1e-2]),
        (None, [9e-3, 9e-3 * 0.9, 9e-3 * 0.8, 9e-3 * 0.7]),  # annealed over ten updates
    ],
)
def test_the_learning_rate_follows_the_divergence_in_place_of_annealing(
    kl_adaptive, learning_rates
):
    trainer = trainer_of(kl_adaptive=kl_adaptive, learning_rate=9e-3, anneal_learning_rate=True)
    found = [trainer.step()["learning_rate"] for _ in learning_rates]
    assert found == pytest.approx(learning_rates, rel=1e-9)


def test_a_resumed_run_continues_with_its_learning_rate_or_a_new_one(tmp_path):
    first = trainer_of(kl_adaptive=1e6, learning_rate=1e-3)
    first.step()
    first.save(tmp_path / "checkpoint.pt")
    # Of the same setting, of another, and of a run that did not adapt.
    trainer_of(learning_rate=1e-3, anneal_learning_rate=False).save(tmp_path / "constant.pt")
    for setting, path, expected in (
        (1e-3, "checkpoint.pt", 1.5e-3),
        (2e-3, "checkpoint.pt", 2e-3),
        (1e-3, "constant.pt", 1e-3),
    ):
        second = trainer_of(kl_adaptive=1e6, learning_rate=setting)
        second.load(tmp_path / path)
        assert second.step()["learning_rate"] == pytest.approx(expected)
