"""The loss against numbers worked by hand."""

import math

import pytest
import torch

from pufferlib.ppo.loss import normalized, ppo_loss

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


def test_kl_and_clip_fraction_are_those_of_the_ratios():
    loss = loss_of([1.0, 1.5], [1.0, 1.0])
    assert loss.approximate_kl.item() == pytest.approx((0.5 - math.log(1.5)) / 2)
    assert loss.clip_fraction.item() == 0.5


def test_invalid_samples_touch_neither_the_loss_nor_a_gradient():
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
