"""The gradient step, against torch's own SGD and a calculation by hand."""

import copy

import pytest
import torch
from torch import nn

from pufferlib.exceptions import ArgumentError, NotFiniteError
from pufferlib.training.distributed import DistributedContext
from pufferlib.training.optimization import (
    GradientSteps,
    Limit,
    adapted_learning_rate,
    load_adam,
    make_adam,
    set_learning_rate,
    update_metrics,
)


class Weights(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([3.0, 4.0]))

    def losses(self, other=7.0):
        """Return a loss whose gradient is the weight, and another one."""
        return {"total": (self.weight**2).sum() / 2, "other": torch.tensor(other)}


def steps_of(policy, optimizer=None, max_gradient_norm=1e9, limit=None):
    optimizer = optimizer or torch.optim.SGD(policy.parameters(), lr=0.1)
    return GradientSteps(policy, optimizer, DistributedContext(), max_gradient_norm, limit)


def test_the_total_loss_is_minimized_and_every_loss_returned():
    policy = Weights()
    steps = steps_of(policy)
    steps.take(policy.losses())
    assert steps.read() == [{"total": 12.5, "other": 7, "gradient_norm": 5}]
    torch.testing.assert_close(policy.weight.data, torch.tensor([2.7, 3.6]))


def test_a_long_gradient_is_scaled_down():
    policy = Weights()
    steps = steps_of(policy, max_gradient_norm=1.0)
    steps.take(policy.losses())
    # The gradient (3, 4) of norm 5, which is reported, becomes (0.6, 0.8).
    assert steps.read()[0]["gradient_norm"] == 5
    torch.testing.assert_close(policy.weight.data, torch.tensor([2.94, 3.92]), atol=1e-5, rtol=0)


def test_gradients_of_two_dtypes_are_scaled_down_together():
    policy = Weights()
    policy.other = nn.Parameter(torch.tensor([12.0]).double())
    steps = steps_of(policy, max_gradient_norm=1.3)
    steps.take({"total": (policy.weight**2).sum() / 2 + (policy.other**2).sum() / 2})
    # The gradient (3, 4, 12) has norm 13, so a tenth of it is taken.
    assert steps.read()[0]["gradient_norm"] == pytest.approx(13)
    torch.testing.assert_close(policy.weight.data, torch.tensor([2.97, 3.96]), atol=1e-5, rtol=0)
    assert policy.other.item() == pytest.approx(11.88)


def test_adam_is_that_of_its_paper():
    policy = Weights()
    steps = steps_of(policy, make_adam(policy, 0.01))
    weights, first, second = torch.tensor([3.0, 4.0]).double(), 0.0, 0.0
    for count in range(1, 6):
        steps.take(policy.losses())
        # Kingma and Ba 2015 (arXiv:1412.6980), algorithm 1; the gradient is the weight.
        first = 0.9 * first + 0.1 * weights
        second = 0.999 * second + 0.001 * weights**2
        change = (first / (1 - 0.9**count)) / ((second / (1 - 0.999**count)).sqrt() + 1e-5)
        weights = weights - 0.01 * change
        torch.testing.assert_close(policy.weight.data.double(), weights, rtol=3e-7, atol=0)


def test_a_gradient_in_another_order_of_memory_reaches_its_own_weights():
    policy = nn.Linear(3, 2, bias=False)
    before = policy.weight.detach().clone()
    rising = torch.arange(-2.0, 4.0).view(3, 2)
    steps = steps_of(policy, make_adam(policy, 0.01))
    steps.take({"total": (policy.weight.T * rising).sum()})
    # The first step of Adam is the sign of the gradient, which is rising.T, times the rate.
    change = policy.weight.detach() - before
    torch.testing.assert_close(change, -0.01 * rising.T.sign(), atol=1e-6, rtol=1e-4)


class Shifted(nn.Module):
    """Weights whose gradients share memory: the same for `a` and `b`, whose parts are the rest."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Parameter(torch.ones(4)), nn.Parameter(torch.arange(4.0))
        self.first, self.rest = nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(3))

    def losses(self, factor=None):
        a, b, *parts = self.parameters()
        if factor is not None:  # each gradient is computed on its own
            a, b, *parts = [factor * weight for weight in self.parameters()]
        return {"total": ((a + b + torch.cat(parts)) ** 2).sum()}


def test_weights_whose_gradients_share_memory_take_the_steps_of_a_plain_loop():
    policy, plain = Shifted(), Shifted()
    optimizer = torch.optim.SGD(plain.parameters(), lr=0.1)
    steps = steps_of(policy, max_gradient_norm=0.5)
    for _ in range(3):
        steps.take(policy.losses())
        optimizer.zero_grad()
        plain.losses(1.0)["total"].backward()
        nn.utils.clip_grad_norm_(plain.parameters(), 0.5)
        optimizer.step()
    for found, expected in zip(policy.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(found, expected)


def test_a_loss_that_is_a_weight_takes_the_same_step_each_time():
    policy = nn.Module()
    policy.weight = nn.Parameter(torch.tensor(3.0))
    steps = steps_of(policy, max_gradient_norm=0.5)
    for _ in range(4):
        steps.take({"total": policy.weight + 0})
    # Each gradient is 1, is scaled to 0.5, and a tenth of it is taken.
    assert [each["gradient_norm"] for each in steps.read()] == [1, 1, 1, 1]
    assert policy.weight.item() == pytest.approx(3 - 4 * 0.05, abs=1e-5)


def test_hooks_on_accumulated_gradients_are_called():
    def double(weight):
        weight.grad.mul_(2)

    policy = Weights()
    policy.weight.register_post_accumulate_grad_hook(double)
    steps = steps_of(policy)
    for expected in ([3.0 - 0.6, 4.0 - 0.8], [2.4 - 0.48, 3.2 - 0.64]):
        steps.take(policy.losses())
        torch.testing.assert_close(policy.weight.data, torch.tensor(expected))


@pytest.mark.parametrize("is_fused", [False, True])
@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_a_number_that_is_not_finite_ends_the_steps_before_it(is_fused, what):
    policy = Weights()
    optimizer = torch.optim.Adam(policy.parameters(), 0.1, fused=is_fused)
    steps = steps_of(policy, optimizer)
    steps.take(policy.losses())
    before, state = policy.weight.clone(), optimizer.state[policy.weight]["exp_avg"].clone()
    bad = policy.losses(float("nan"))
    if what == "gradient":
        zero = policy.weight - policy.weight.detach()
        bad = {"total": zero.sqrt().sum(), "other": torch.tensor(7.0)}  # 0, of infinite slope
    expected = "The other loss is nan" if what == "loss" else r"gradient's norm is (inf|nan)"
    with pytest.raises(NotFiniteError, match=expected):  # noqa: PT012 - the first to know it raises
        steps.take(bad)
        assert steps.has_ended
        steps.take(policy.losses())
        steps.read()
    assert torch.equal(policy.weight, before)
    assert torch.equal(optimizer.state[policy.weight]["exp_avg"], state)
    assert optimizer.state[policy.weight]["step"] == 1


def test_no_step_is_taken_after_one_above_the_limit():
    policy = Weights()
    steps = steps_of(policy, make_adam(policy, 0.1), limit=Limit("other", 2.0))
    weights = []
    for other in (1.0, 3.0, 1.0, 1.0):
        steps.take(policy.losses(other))
        weights.append(policy.weight.clone())
    assert not torch.equal(weights[0], weights[1])  # the step that finds it is taken
    assert torch.equal(weights[1], weights[3])
    assert steps.has_ended
    assert [step["other"] for step in steps.read()] == [1.0, 3.0]


@pytest.mark.parametrize("is_fused", [False, True])
def test_the_steps_read_are_those_taken_where_rounding_reaches_the_limit(is_fused):
    policy = Weights()
    optimizer = torch.optim.Adam(policy.parameters(), 0.1, fused=is_fused)
    # 0.1 is a little larger in float32, in which 0.1 is thus no step above it.
    steps = steps_of(policy, optimizer, limit=Limit("other", 0.1))
    for _ in range(2):
        steps.take(policy.losses(0.1))
    assert optimizer.state[policy.weight]["step"] == 2
    assert len(steps.read()) == 2


def test_weights_that_fused_adam_refuses_learn_too():
    policy = nn.Module()
    policy.weight = nn.Parameter(torch.tensor([3 + 4j]))
    for optimizer in (make_adam(policy, 0.1), make_adam(policy, 0.1)):
        before = policy.weight.detach().clone()
        steps_of(policy, optimizer).take({"total": policy.weight.abs().square().sum() / 2})
        load_adam(optimizer, copy.deepcopy(optimizer.state_dict()))
        steps_of(policy, optimizer).take({"total": policy.weight.abs().square().sum() / 2})
        # Adam's first steps are of the learning rate's length in both parts.
        change = torch.view_as_real(before - policy.weight.detach())
        torch.testing.assert_close(change, torch.full((1, 2), 0.2), rtol=0.05, atol=0)


def test_a_policy_without_a_weight_to_train_is_refused():
    with pytest.raises(ArgumentError, match="Weights has no weight that requires a gradient"):
        steps_of(Weights().requires_grad_(False), torch.optim.SGD([torch.zeros(1)], lr=0.1))


def test_adam_continues_from_a_checkpoint_of_one_that_was_not_fused():
    policies = [Weights(), Weights()]
    optimizers = [torch.optim.Adam(each.parameters(), 0.1, eps=1e-5) for each in policies]
    for policy, optimizer in zip(policies, optimizers, strict=True):
        steps_of(policy, optimizer).take(policy.losses())
    optimizers[1] = make_adam(policies[1], 0.1)
    load_adam(optimizers[1], copy.deepcopy(optimizers[0].state_dict()))
    assert optimizers[1].param_groups[0]["fused"]
    for policy, optimizer in zip(policies, optimizers, strict=True):
        steps_of(policy, optimizer).take(policy.losses())
    torch.testing.assert_close(policies[0].weight, policies[1].weight, rtol=3e-7, atol=0)


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
