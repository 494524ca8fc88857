"""Published networks compute as today's, for the arguments they had."""

import pytest
import torch
from environments import Sampler
from gymnasium.spaces import Box, Discrete, MultiDiscrete
from torch import nn
from torch.distributions import Categorical

from pufferlib import models
from pufferlib.emulation import GymnasiumPufferEnv
from pufferlib.exceptions import ArgumentError
from pufferlib.frameworks import cleanrl
from pufferlib.policies.pixels import Impala, NatureCNN, ResidualBlock

B, T = 3, 4


def make(observation_space, action_space=None):
    return GymnasiumPufferEnv(Sampler(observation_space, action_space or Discrete(5)))


def vectors():
    return make(Box(-1, 1, (2,)), MultiDiscrete([3, 2]))


def seeded(network, *args, **kwargs):
    torch.manual_seed(0)
    return network(*args, **kwargs)


def images(env):
    return torch.randint(0, 256, (B, *env.observation_space.shape)).byte()


def assert_equal(actual, expected):
    for one, other in zip(actual, expected, strict=True):
        torch.testing.assert_close(one, other)


class Knowing(nn.Module):
    """A user's policy that keeps its environment, as the guide advises."""

    hidden_size = 6

    def __init__(self, envs):
        super().__init__()
        self.envs, self.layer = envs, nn.Linear(2, 6)
        self.actor, self.critic = nn.Linear(6, 3), nn.Linear(6, 1)

    def encode_observations(self, observations):
        return self.layer(observations), None

    def decode_actions(self, hidden, lookup, concat=None):
        return self.actor(hidden), self.critic(hidden)


@torch.no_grad()
@pytest.mark.parametrize("policy_class", [models.Default, Knowing])
def test_a_policy_alone_becomes_recurrent(policy_class):
    env = vectors()
    alone = seeded(lambda: models.Recurrent(policy_class(env)))
    today = seeded(lambda: models.LSTMWrapper(env, policy_class(env)))
    assert alone.input_size == alone.hidden_size == policy_class(env).hidden_size
    x = torch.randn(B, T, 2)
    for actual, expected in zip(alone(x)[1:], today(x)[1:], strict=True):
        torch.testing.assert_close(actual, expected)
    wide = models.Recurrent(env, policy_class(env), num_layers=2)
    assert wide(x[:, 0])[2][0].shape == (2, B, wide.hidden_size)


def test_a_policy_that_does_not_know_its_environment_is_refused():
    policy = Knowing(vectors())
    del policy.envs
    with pytest.raises(ArgumentError, match=r"Recurrent\(env, policy\)"):
        models.Recurrent(policy)


def test_a_policy_or_an_image_that_is_missing_is_refused():
    with pytest.raises(ArgumentError, match="Recurrent takes a policy"):
        models.Recurrent()
    with pytest.raises(ArgumentError, match=r"one image.*\(2,\)"):
        models.Convolutional(vectors(), framestack=4)


@torch.no_grad()
def test_layers_are_those_of_torch():
    env = vectors()
    policy = models.LSTMWrapper(env, models.Default(env, 4), num_layers=3)
    assert policy.lstm.num_layers == 3
    x = torch.randn(B, T, 2)
    _, expected, state = policy(x)
    parts, carried = [], None
    for t in range(T):
        _, value, carried = policy(x[:, t], carried)
        parts.append(value)
    torch.testing.assert_close(torch.stack(parts, 1).reshape(B * T, 1), expected)
    assert_equal(carried, state)
    gru = models.GRUWrapper(env, models.Default(env, 4), num_layers=2)
    assert gru(x)[2].shape == gru.initial_state(B).shape == (2, B, 4)


def test_concat_is_accepted_without_effect():
    env = vectors()
    policy = models.Default(env)
    hidden, lookup = policy.encode_observations(torch.randn(B, 2))
    for concat in (True, False):
        heads, value = policy.decode_actions(hidden, lookup, concat=concat)
        assert_equal(
            [*heads, value], [*policy.decode_actions(hidden)[0], policy.value_head(hidden)]
        )


@torch.no_grad()
@pytest.mark.parametrize(
    ("shape", "channels_last", "downsample"),
    [((4, 84, 84), False, 1), ((84, 80, 3), True, 2), ((1, 84, 160), False, 2)],
)
def test_convolutional_is_the_nature_cnn_of_the_downsampled_image(shape, channels_last, downsample):
    env = make(Box(0, 255, shape, "uint8"))
    x, every = images(env), slice(None, None, downsample)
    channels = shape[-1 if channels_last else 0]
    published = seeded(
        models.Convolutional,
        env,
        framestack=channels,
        flat_size=64 * 7 * 7,
        hidden_size=16,
        output_size=16,
        channels_last=channels_last,
        downsample=downsample,
    )
    small = x[:, every, every] if channels_last else x[:, :, every, every]
    seen = make(Box(0, 255, small.shape[1:], "uint8"))
    today = seeded(NatureCNN, seen, 16, is_channels_first=not channels_last)
    assert_equal(published(x), today(small))


@pytest.mark.parametrize("wrong", [{"framestack": 3}, {"output_size": 256}])
def test_convolutional_refuses_arguments_that_do_not_fit(wrong):
    env = make(Box(0, 255, (4, 84, 84), "uint8"))
    with pytest.raises(ArgumentError, match="framestack must be the channels of the image, 4"):
        models.Convolutional(env, **{"framestack": 4, "flat_size": 3136, **wrong})


@torch.no_grad()
def test_the_resnet_is_impala():
    env = make(Box(0, 255, (64, 64, 3), "uint8"))
    x = images(env)
    published = seeded(models.ProcgenResnet, env, cnn_width=4, mlp_width=8)
    assert_equal(published(x), seeded(Impala, env, 8, channels=(4, 8, 8))(x))


@torch.no_grad()
@pytest.mark.parametrize("side", [8, 9])
def test_parts_of_the_resnet(side):
    sequence = models.ConvSequence((3, side, 2 * side), 5)
    half = (side + 1) // 2
    assert sequence.get_output_shape() == (5, half, side)
    assert sequence(torch.randn(B, 3, side, 2 * side)).shape == (B, 5, half, side)
    assert models.ResidualBlock is ResidualBlock
    block, x = ResidualBlock(5), torch.randn(B, 5, 4, 4)
    for parameter in block.parameters():
        parameter.zero_()
    torch.testing.assert_close(block(x), x)


class Subclass(models.Policy):
    """A policy as 0.5 had users write it."""

    def __init__(self, env):
        super().__init__(env)
        self.layer, self.head = nn.Linear(2, 4), nn.Linear(4, 3)

    def encode_observations(self, observations):
        return self.layer(observations), None

    def decode_actions(self, hidden, lookup):
        return self.head(hidden), hidden[:, :1]


@torch.no_grad()
def test_a_subclass_of_the_old_base_class_is_a_policy():
    policy, x = Subclass(vectors()), torch.randn(B, 2)
    hidden = policy.layer(x)
    assert_equal(policy(x), (policy.head(hidden), hidden[:, :1]))
    assert models.RecurrentWrapper(vectors(), policy, 4, 4)(x)[1].shape == (B, 1)


@torch.no_grad()
@pytest.mark.parametrize("widths", [[4], [3, 2]])
def test_logits_are_sampled_and_evaluated(widths):
    logits = [torch.randn(B * T, n) for n in widths]
    action = torch.stack([torch.randint(n, (B * T,)) for n in widths], 1)
    each = [Categorical(logits=part) for part in logits]
    pairs = zip(each, action.T, strict=True)
    expected = sum(one.log_prob(chosen) for one, chosen in pairs)
    entropy = sum(one.entropy() for one in each)
    given = logits[0] if len(widths) == 1 else logits
    for shaped in (action, action.reshape(B, T, -1)):  # as sequences, too
        found = cleanrl.sample_logits(given, shaped)
        assert_equal(found[1:], (expected, entropy))
    sampled = cleanrl.sample_logits(given)[0]
    assert sampled.shape == ((B * T,) if len(widths) == 1 else (B * T, len(widths)))


@torch.no_grad()
def test_cleanrl_wraps_both_kinds_of_policies():
    env = vectors()
    assert cleanrl.CleanRL is cleanrl.Policy
    assert type(cleanrl.CleanRL(models.Default(env))) is cleanrl.Policy
    agent = cleanrl.CleanRL(models.Recurrent(models.Default(env)))
    assert type(agent) is cleanrl.RecurrentPolicy
    x = torch.randn(B, T, 2)
    action, log_probability, *_ = agent.get_action_and_value(x)
    again = agent.get_action_and_value(x, None, action.reshape(B, T, 2))
    torch.testing.assert_close(again[1], log_probability)
