"""The Gaussians of ActionHeads equal those of torch.distributions."""

import math

import pytest
import torch
from environments import Sampler
from gymnasium.spaces import Box, Dict, Discrete
from torch.distributions import Categorical, Normal, TanhTransform, TransformedDistribution

from pufferlib.emulation import GymnasiumPufferEnv
from pufferlib.exceptions import ArgumentError
from pufferlib.models import ActionHeads, Default
from pufferlib.pytorch import sample_actions

ROWS, HIDDEN = 6, 4
MIXED = Dict(a=Box(-1, 1, (2,)), b=Discrete(3), c=Box(-1, 1, (1,)))


def heads_and_hidden(gaussian, space=MIXED):
    torch.manual_seed(0)
    heads = ActionHeads(GymnasiumPufferEnv(Sampler(Discrete(2), space)), HIDDEN, gaussian)
    for parameter in heads.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return heads, torch.randn(ROWS, HIDDEN)


def expected_parts(heads, hidden, gaussian):
    """Return torch's distributions of the parts, from the weights."""
    output = hidden @ heads.layer.weight.T + heads.layer.bias
    if gaussian == "independent":
        log_std = heads.log_std.expand(ROWS, 3)
    else:
        log_std = hidden @ heads.log_std_layer.weight.T + heads.log_std_layer.bias
        log_std = log_std.clamp(-5, 2)
    found = []
    for columns, of_std in ((slice(0, 2), slice(0, 2)), (slice(5, 6), slice(2, 3))):
        part = Normal(output[:, columns], log_std[:, of_std].exp())
        is_squashed = gaussian == "squashed"
        found.append(TransformedDistribution(part, TanhTransform()) if is_squashed else part)
    return found[0], Categorical(logits=output[:, 2:5]), found[1]


@pytest.mark.parametrize("gaussian", ["independent", "state-dependent", "squashed"])
def test_probabilities_and_entropies_equal_those_of_torch(gaussian):
    heads, hidden = heads_and_hidden(gaussian)
    first, choice, last = expected_parts(heads, hidden, gaussian)
    actions, log_probabilities, entropies = sample_actions(heads(hidden))
    expected = first.log_prob(actions[:, :2]).sum(1) + last.log_prob(actions[:, 3:]).sum(1)
    expected = expected + choice.log_prob(actions[:, 2])
    torch.testing.assert_close(log_probabilities, expected)
    if gaussian != "squashed":  # for that see test_distributions.py
        expected = first.entropy().sum(1) + last.entropy().sum(1) + choice.entropy()
        torch.testing.assert_close(entropies, expected)
    (log_probabilities + entropies).sum().backward()
    assert all(weight.grad.isfinite().all() for weight in heads.parameters())


@pytest.mark.parametrize("gaussian", ["state-dependent", "squashed"])
def test_the_standard_deviation_depends_on_the_state_within_limits(gaussian):
    heads, hidden = heads_and_hidden(gaussian, Box(-1, 1, (3,)))
    for scale, expected in ((1e6, {-5.0, 2.0}), (0.0, {0.5})):
        with torch.no_grad():
            heads.log_std_layer.bias[:] = 0.5
        head = heads(hidden * scale)[0]
        normal = head.normal if gaussian == "squashed" else head
        assert {round(value, 4) for value in normal.scale.log().ravel().tolist()} == expected


@pytest.mark.parametrize(("given", "expected"), [({}, 1.0), ({"initial_std": 0.25}, 0.25)])
@pytest.mark.parametrize("gaussian", ["independent", "state-dependent", "squashed"])
def test_a_new_policy_has_its_initial_standard_deviation_everywhere(gaussian, given, expected):
    heads = ActionHeads(GymnasiumPufferEnv(Sampler(Discrete(2), MIXED)), HIDDEN, gaussian, **given)
    head = heads(torch.randn(ROWS, HIDDEN))[0]
    scale = (head.normal if gaussian == "squashed" else head).scale
    torch.testing.assert_close(scale, torch.full((ROWS, 2), expected), atol=0, rtol=0.1)
    assert heads.gaussian == gaussian


@pytest.mark.parametrize("value", [0.0, -1.0, math.inf, math.nan])
def test_an_impossible_initial_standard_deviation_is_refused(value):
    env = GymnasiumPufferEnv(Sampler(Box(-1, 1, (3,)), MIXED))
    with pytest.raises(ArgumentError, match="initial_std must be above 0 and finite"):
        ActionHeads(env, HIDDEN, initial_std=value)


def test_squashed_actions_stay_within_the_bounds():
    heads, hidden = heads_and_hidden("squashed", Box(-1, 1, (2,)))
    assert sample_actions(heads(hidden * 100))[0].abs().max() <= 1


def test_without_continuous_actions_gaussians_add_no_weights():
    heads, _ = heads_and_hidden("squashed", Discrete(3))
    assert [name for name, _ in heads.named_parameters()] == ["layer.weight", "layer.bias"]
    assert not heads.is_continuous


@pytest.mark.parametrize("gaussian", ["independent", "state-dependent", "squashed"])
def test_a_policy_with_any_gaussian_compiles_without_a_break(gaussian, compile_whole):
    env = GymnasiumPufferEnv(Sampler(Box(-1, 1, (3,)), MIXED))
    policy = Default(env, hidden_size=8)
    policy.decoder.set_gaussian(gaussian)
    rows = torch.randn(ROWS, 3)
    heads, expected = compile_whole(policy, backend="aot_eager")(rows)[0], policy(rows)[0]
    actions = sample_actions(expected)[0]
    torch.testing.assert_close(
        sample_actions(heads, actions)[1], sample_actions(expected, actions)[1]
    )
