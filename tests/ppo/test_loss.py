"""The loss equals hand calculations, and Stable-Baselines3's."""

import math

import gymnasium
import numpy as np
import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.logger import Logger

from pufferlib.ppo.advantage import normalized, standardized
from pufferlib.ppo.algorithm import ppo_loss

SETTINGS = {"clip_coefficient": 0.2, "value_coefficient": 0.5, "entropy_coefficient": 0.1}


def loss_of(ratios, advantages, values=None, returns=None, valid=None, entropies=None):
    count = len(ratios)
    return ppo_loss(
        log_probabilities=torch.tensor(ratios).log(),
        old_log_probabilities=torch.zeros(count),
        entropies=torch.tensor(entropies or [0.0] * count),
        values=torch.tensor(values or [0.0] * count),
        advantages=torch.tensor(advantages),
        returns=torch.tensor(returns or [0.0] * count),
        valid=torch.tensor(valid or [True] * count),
        **SETTINGS,
    )


@pytest.mark.parametrize(
    ("ratio", "advantage", "objective"),
    [
        (1.1, 2.0, 2.2),  # within the clip: ratio * advantage
        (1.5, 2.0, 2.4),  # too far up, where more is better: clipped to 1.2
        (1.5, -2.0, -3.0),  # too far up, where more is worse: not clipped
        (0.5, 2.0, 1.0),  # too far down, where more is better: not clipped
        (0.5, -2.0, -1.6),  # too far down, where more is worse: clipped to 0.8
    ],
)
def test_the_surrogate_is_the_pessimistic_of_clipped_and_unclipped(ratio, advantage, objective):
    assert loss_of([ratio], [advantage]).policy.item() == pytest.approx(-objective)


def test_the_total_weighs_policy_value_and_entropy():
    # policy -1 * 3, value 0.5 * (2 - 5) ** 2 = 4.5, entropy 7
    loss = loss_of([1.0], [3.0], values=[2.0], returns=[5.0], entropies=[7.0])
    assert loss.total.item() == pytest.approx(-3 + 0.5 * 4.5 - 0.1 * 7)


@pytest.mark.parametrize(
    ("value", "target", "loss", "gradient"),
    [
        (3.0, 5.0, 6.125, 0.0),  # moved too far towards it: (1.5 - 5) ** 2 / 2, as if it were 1.5
        (3.0, 0.0, 4.5, 3.0),  # moved too far away from it: (3 - 0) ** 2 / 2, not clipped
        (1.4, 5.0, 6.48, -3.6),  # not too far: (1.4 - 5) ** 2 / 2
    ],
)
def test_a_value_is_not_moved_further_than_the_clip_from_the_old_one(value, target, loss, gradient):
    values = torch.tensor([value], requires_grad=True)
    zeros = torch.zeros(1)
    result = ppo_loss(
        log_probabilities=zeros,
        old_log_probabilities=zeros,
        entropies=zeros,
        values=values,
        advantages=zeros,
        returns=torch.tensor([target]),
        valid=torch.tensor([True]),
        **SETTINGS,
        old_values=torch.tensor([1.0]),
        value_clip=0.5,
    )
    result.value.backward()
    assert result.value.item() == pytest.approx(loss)
    assert values.grad.item() == pytest.approx(gradient)


def test_kl_and_clip_fraction_follow_from_the_ratios():
    loss = loss_of([1.0, 1.5], [1.0, 1.0])
    assert loss.approximate_kl.item() == pytest.approx((0.5 - math.log(1.5)) / 2)
    assert loss.clip_fraction.item() == 0.5


def test_invalid_samples_affect_neither_the_loss_nor_the_gradient():
    gradients, losses = [], []
    for noise in (0.0, 1e6):
        weight = torch.ones(3, requires_grad=True)
        loss = ppo_loss(
            log_probabilities=weight * torch.tensor([0.1, 0.2, noise]),
            old_log_probabilities=torch.tensor([0.0, 0.1, -noise]),
            entropies=weight * torch.tensor([1.0, 2.0, noise]),
            values=weight * torch.tensor([1.0, 2.0, noise]),
            advantages=normalized(torch.tensor([1.0, -1.0, noise]), torch.tensor([1, 1, 0]).bool()),
            returns=torch.tensor([0.5, 0.5, noise]),
            valid=torch.tensor([True, True, False]),
            **SETTINGS,
        )
        loss.total.backward()
        losses.append(loss.total.item())
        gradients.append(weight.grad.tolist())
    assert losses[0] == losses[1]
    assert gradients[0] == gradients[1]
    assert gradients[0][2] == 0


def test_normalized_advantages_have_mean_zero_and_deviation_one_over_the_valid():
    values = torch.tensor([1.0, 2.0, 6.0, 1e9])
    result = normalized(values, torch.tensor([True, True, True, False]))[:3]
    assert result.mean().item() == pytest.approx(0, abs=1e-6)
    assert result.std().item() == pytest.approx(1, abs=1e-6)


def stable_baselines(count, normalize):
    """Return a PPO of Stable-Baselines3 with a rollout of `count` steps of another policy."""
    torch.manual_seed(0)
    theirs = PPO(
        "MlpPolicy",
        gymnasium.make("CartPole-v1"),
        n_steps=count,
        batch_size=count,
        n_epochs=1,
        clip_range=SETTINGS["clip_coefficient"],
        vf_coef=SETTINGS["value_coefficient"] / 2,  # theirs is of the squared error, ours of half
        ent_coef=SETTINGS["entropy_coefficient"],
        normalize_advantage=normalize,
        max_grad_norm=math.inf,
        device="cpu",
        seed=0,
    )
    theirs.set_logger(Logger(folder=None, output_formats=[]))
    random = np.random.default_rng(0)
    for _ in range(count):
        theirs.rollout_buffer.add(
            random.normal(size=(1, 4)),
            random.integers(2, size=(1, 1)),
            random.normal(size=1),
            np.zeros(1),
            torch.tensor([random.normal()]),
            torch.tensor([math.log(0.5) + 0.3 * random.normal()]),
        )
    theirs.rollout_buffer.compute_returns_and_advantage(torch.zeros(1), np.ones(1))
    return theirs


@pytest.mark.parametrize("normalize", [False, True])
def test_loss_and_gradients_equal_those_of_stable_baselines(normalize):
    count = 16
    theirs = stable_baselines(count, normalize)
    rollout = next(theirs.rollout_buffer.get())
    values, log_probabilities, entropies = theirs.policy.evaluate_actions(
        rollout.observations, rollout.actions.long().flatten()
    )
    valid = torch.ones(count, dtype=torch.bool)
    estimates = rollout.advantages
    loss = ppo_loss(
        log_probabilities=log_probabilities,
        old_log_probabilities=rollout.old_log_prob,
        entropies=entropies,
        values=values.flatten(),
        advantages=normalized(estimates, valid) if normalize else estimates,
        returns=rollout.returns,
        valid=valid,
        **SETTINGS,
    )
    parameters = list(theirs.policy.parameters())
    gradients = torch.autograd.grad(loss.total, parameters)

    theirs.train()

    logged = theirs.logger.name_to_value
    expected = {
        "total": logged["train/loss"],
        "policy": logged["train/policy_gradient_loss"],
        "value": logged["train/value_loss"] / 2,
        "entropy": -logged["train/entropy_loss"],
        "approximate_kl": logged["train/approx_kl"],
        "clip_fraction": logged["train/clip_fraction"],
    }
    found = {name: part.item() for name, part in loss._asdict().items()}
    assert found == pytest.approx(expected, rel=1e-5)
    assert 0 < found["clip_fraction"] < 1
    for gradient, parameter in zip(gradients, parameters, strict=True):
        torch.testing.assert_close(gradient, parameter.grad)


def test_without_absent_agents_the_mask_changes_nothing():
    generator = torch.Generator().manual_seed(0)
    numbers = torch.randn(7, 50, generator=generator).unbind()
    names = ("log_probabilities", "old_log_probabilities", "entropies", "values", "advantages")
    given = dict(zip((*names, "returns", "old_values"), numbers, strict=True))
    found = []
    for valid in (None, torch.ones(50).bool()):
        weights = [given[name].detach().clone().requires_grad_() for name in names[:4:2]]
        given |= {"log_probabilities": weights[0], "entropies": weights[1], "valid": valid}
        loss = ppo_loss(**given, **SETTINGS, value_clip=0.5)
        loss.total.backward()
        found.append([*(part.detach() for part in loss), *(each.grad for each in weights)])
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))
    all_valid = torch.ones(50).bool()
    assert torch.equal(standardized(numbers[0]), normalized(numbers[0], all_valid))
    assert standardized(numbers[0][:1]) == numbers[0][:1]
