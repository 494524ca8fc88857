"""Policies with weights without gradient, or that compile to something else, are found."""

import pytest
import torch
from torch import nn

from pufferlib.exceptions import ContractError
from pufferlib.runs.policy_check import check_policy


class Network(nn.Module):
    """Differs in one place when it is compiled: "log probability", "value", "gradient", or none."""

    def __init__(self, place):
        super().__init__()
        self.place, self.layer = place, nn.Linear(3, 4)
        self.unused = nn.Linear(1, 1) if place == "unused" else None

    def forward(self, observations):
        hidden = self.layer(observations)
        off = float(torch.compiler.is_compiling())
        scale = torch.tensor([1.0, 2.0, 3.0])
        heads = hidden[:, :3] + off * scale * (self.place == "log probability")
        value = hidden[:, 3:] + off * (self.place == "value")
        if self.place == "gradient" and torch.compiler.is_compiling():
            value = value.detach() + 0 * hidden[:, 3:]
        return heads, value


@pytest.mark.parametrize("place", ["none", "log probability", "value", "gradient"])
def test_a_policy_must_be_the_same_compiled(compile_whole, place):
    torch.manual_seed(0)
    arguments = Network(place), torch.randn(5, 3), torch.tensor([0, 1, 2, 0, 1])
    if place == "none":
        check_policy(*arguments, is_one_graph=True)
    else:
        with pytest.raises(ContractError, match=rf"the policy returns a different {place}"):
            check_policy(*arguments, is_one_graph=True)


def test_weights_that_are_not_to_be_trained_need_no_gradient(compile_whole):
    torch.manual_seed(0)
    policy = Network("none")
    policy.frozen = nn.Linear(3, 3).requires_grad_(False)
    policy.layer.bias.requires_grad_(False)
    check_policy(policy, torch.randn(5, 3), torch.tensor([0, 1, 2, 0, 1]), is_one_graph=True)


class Changing(Network):
    """Is compared by dropout, which torch's seed decides; a count of its calls, nothing does."""

    def __init__(self, place):
        super().__init__("none")
        self.dropout, self.calls = nn.Dropout(0.5), 0
        self.counts = place == "count"

    def forward(self, observations):
        heads, value = super().forward(observations)
        self.calls += self.counts
        return self.dropout(heads), value + self.calls


@pytest.mark.parametrize("place", ["dropout", "count"])
def test_a_policy_that_changes_by_itself_is_not_called_different_compiled(compile_whole, place):
    torch.manual_seed(0)
    arguments = Changing(place), torch.randn(5, 3), torch.tensor([0, 1, 2, 0, 1])
    assert check_policy(*arguments, is_one_graph=True) == (place == "dropout")


def test_weights_without_gradient_are_named():
    arguments = Network("unused"), torch.randn(2, 3), torch.tensor([0, 1])
    with pytest.raises(ContractError, match=r"No gradient reaches unused.weight, unused.bias"):
        check_policy(*arguments, is_one_graph=True)
