"""The gradient step, against torch's own SGD and a calculation by hand."""

import pytest
import torch
from torch import nn

from pufferlib.exceptions import NotFiniteError
from pufferlib.training.distributed import DistributedContext
from pufferlib.training.optimization import (
    adapted_learning_rate,
    gradient_step,
    set_learning_rate,
    update_metrics,
)


class Weights(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([3.0, 4.0]))


def step(policy, losses, max_gradient_norm=1e9):
    optimizer = torch.optim.SGD(policy.parameters(), lr=0.1)
    return gradient_step(losses, policy, optimizer, DistributedContext(), max_gradient_norm)


def test_the_total_loss_is_minimized_and_every_loss_returned():
    policy = Weights()
    total = (policy.weight**2).sum() / 2  # its gradient is the weight
    numbers = step(policy, {"total": total, "other": torch.tensor(7.0)})
    assert numbers == {"total": 12.5, "other": 7, "gradient_norm": 5}
    torch.testing.assert_close(policy.weight.data, torch.tensor([2.7, 3.6]))


def test_a_long_gradient_is_scaled_down():
    policy = Weights()
    numbers = step(policy, {"total": (policy.weight**2).sum() / 2}, max_gradient_norm=1.0)
    # The gradient (3, 4) of norm 5, which is reported, becomes (0.6, 0.8).
    assert numbers["gradient_norm"] == 5
    torch.testing.assert_close(policy.weight.data, torch.tensor([2.94, 3.92]), atol=1e-5, rtol=0)


def test_a_loss_that_is_not_finite_changes_no_weight():
    policy = Weights()
    losses = {"total": policy.weight.sum(), "other": torch.tensor(float("nan"))}
    with pytest.raises(NotFiniteError, match="The other loss is nan"):
        step(policy, losses)
    assert policy.weight.tolist() == [3.0, 4.0]


def test_a_gradient_that_is_not_finite_changes_no_weight():
    policy = Weights()
    total = (policy.weight - policy.weight.detach()).sqrt().sum()  # 0, with a slope of infinity
    with pytest.raises(NotFiniteError, match=r"gradient's norm is (inf|nan)"):
        step(policy, {"total": total})
    assert policy.weight.tolist() == [3.0, 4.0]


def test_metrics_are_the_learning_rate_and_the_mean_of_each_loss():
    optimizer = torch.optim.SGD(Weights().parameters(), lr=0.1)
    set_learning_rate(optimizer, 0.05)
    losses = [{"total": 1.0, "value": 4.0}, {"total": 2.0, "value": 8.0}]
    expected = {"learning_rate": 0.05, "loss/total": 1.5, "loss/value": 6.0}
    assert update_metrics(optimizer, losses) == expected


@pytest.mark.parametrize(
    ("learning_rate", "kl", "expected"),
    [
        (3e-4, 0.021, 2e-4),  # more than twice the target: / 1.5
        (3e-4, 0.004, 4.5e-4),  # less than half: * 1.5
        (3e-4, 0.019, 3e-4),
        (3e-4, 0.006, 3e-4),
        (1.2e-5, 1.0, 1e-5),
        (8e-3, 0.0, 1e-2),
    ],
)
def test_the_learning_rate_adapts_to_the_divergence(learning_rate, kl, expected):
    found = adapted_learning_rate(learning_rate, kl, 0.01, (1e-5, 1e-2))
    assert found == pytest.approx(expected, rel=1e-12)
