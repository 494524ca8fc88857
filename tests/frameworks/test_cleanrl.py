"""Adapted policies return the same values to CleanRL's scripts as CleanRL's agents."""

import pytest
import torch
from environments import Sampler
from gymnasium.spaces import Box, Discrete, MultiDiscrete, Tuple
from torch.distributions import Categorical

from pufferlib.emulation import GymnasiumPufferEnv
from pufferlib.frameworks.cleanrl import Policy, RecurrentPolicy
from pufferlib.models import Default, GRUWrapper, LSTMWrapper

B, T = 3, 4
OBSERVATIONS = torch.linspace(-1, 1, B * T * 2).reshape(B, T, 2)
over_action_spaces = pytest.mark.parametrize(
    "space",
    [Discrete(3), MultiDiscrete([3, 2]), Box(-1, 1, (2,)), Tuple((Discrete(3), Box(-1, 1, (2,))))],
    ids=["discrete", "multi-discrete", "continuous", "mixed"],
)


def make(space, memory=None):
    torch.manual_seed(0)
    env = GymnasiumPufferEnv(Sampler(Box(-1, 1, (2,)), space))
    policy = Default(env, hidden_size=8)
    for parameter in policy.decoder.parameters():  # far from uniform
        torch.nn.init.normal_(parameter)
    return RecurrentPolicy(memory(env, policy)) if memory else Policy(policy)


@over_action_spaces
@torch.no_grad()
def test_a_sampled_action_is_evaluated_with_its_log_probability(space):
    agent, x = make(space), OBSERVATIONS[:, 0]
    action, log_probability, entropy, value = agent.get_action_and_value(x)
    again = agent.get_action_and_value(x, action)
    for actual, expected in zip(again, (action, log_probability, entropy, value), strict=True):
        torch.testing.assert_close(actual, expected)
    assert (log_probability.shape, entropy.shape, value.shape) == ((B,), (B,), (B, 1))
    assert torch.equal(agent.get_value(x), value)


@torch.no_grad()
def test_results_equal_those_of_cleanrls_agent_for_the_same_logits():
    agent, x = make(Discrete(3)), OBSERVATIONS[:, 0]
    logits, value = agent.policy(x)
    reference = Categorical(logits=logits)  # as in cleanrl/ppo.py
    for choice in range(3):
        action = torch.full((B,), choice)
        _, log_probability, entropy, own_value = agent(x, action)
        torch.testing.assert_close(log_probability, reference.log_prob(action))
        torch.testing.assert_close(entropy, reference.entropy())
        assert torch.equal(own_value, value)


@torch.no_grad()
def test_stored_actions_may_be_floats_or_columns():
    agent, x = make(Discrete(3)), OBSERVATIONS[:, 0]
    action = torch.tensor([0, 2, 1])
    expected = agent.get_action_and_value(x, action)[1]
    for stored in (action.float(), action.unsqueeze(1)):
        torch.testing.assert_close(agent.get_action_and_value(x, stored)[1], expected)


@over_action_spaces
@pytest.mark.parametrize("memory", [LSTMWrapper, GRUWrapper])
@torch.no_grad()
def test_a_sequence_is_evaluated_like_its_steps(space, memory):
    agent = make(space, memory)
    state, actions, log_probabilities, values = None, [], [], []
    for t in range(T):
        foreseen = agent.get_value(OBSERVATIONS[:, t], state)
        action, log_probability, _, value, state = agent(OBSERVATIONS[:, t], state)
        assert torch.equal(value, foreseen)
        actions.append(action)
        log_probabilities.append(log_probability)
        values.append(value)
    stored = torch.stack(actions, 1).flatten(0, 1)  # (B * T, ...)
    _, rated, _, value, last = agent(OBSERVATIONS, None, stored)
    torch.testing.assert_close(rated, torch.stack(log_probabilities, 1).flatten())
    torch.testing.assert_close(value, torch.stack(values, 1).flatten(0, 1))
    torch.testing.assert_close(last, state)


def test_the_lstm_is_exposed_as_cleanrl_expects():
    agent = make(Discrete(3), LSTMWrapper)
    assert (agent.lstm.num_layers, agent.lstm.hidden_size) == (1, 8)


def test_an_agent_with_other_memory_has_no_lstm():
    assert not hasattr(make(Discrete(3), GRUWrapper), "lstm")
