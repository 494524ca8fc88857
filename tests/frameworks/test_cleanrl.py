"""Adapted policies return the same values to CleanRL's scripts as CleanRL's agents."""

import pytest
import torch
from environments import Sampler
from gymnasium.spaces import Box, Discrete, MultiDiscrete, Tuple
from torch.distributions import Categorical

from pufferlib.emulation import GymnasiumPufferEnv
from pufferlib.exceptions import ArgumentError
from pufferlib.frameworks.cleanrl import LSTMPolicy, Policy, RecurrentPolicy
from pufferlib.models import Default, GRUWrapper, LSTMWrapper
from pufferlib.pytorch import sample_actions

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


STARTS = torch.tensor([[1, 0, 0, 0], [0, 0, 1, 0], [0, 1, 1, 0]], dtype=torch.bool)  # (B, T)
STATE = tuple(torch.linspace(-1, 1, B * 8).reshape(1, B, 8) * sign for sign in (1, -1))


def make_lstm(space):
    return LSTMPolicy(make(space, LSTMWrapper).policy)


def by_step(rows):
    """Flatten (B, T, ...) as ppo_atari_lstm.py flattens its storage: all rows of a step first."""
    return torch.cat([rows[:, t] for t in range(T)])


@over_action_spaces
@torch.no_grad()
def test_cleanrls_signature_gives_the_results_of_the_recurrent_policy(space):
    agent = make_lstm(space)
    x, done = by_step(OBSERVATIONS), by_step(STARTS).float()
    heads, expected_values, expected_state = agent.policy(OBSERVATIONS, STATE, STARTS)
    actions, expected_log_probabilities, expected_entropies = sample_actions(heads)
    given = by_step(actions.unflatten(0, (B, T)))
    action, log_probability, entropy, value, state = agent(x, STATE, done, given)
    assert torch.equal(action, given)
    expected = (expected_log_probabilities, expected_entropies, expected_values)
    for actual, other in zip((log_probability, entropy, value), expected, strict=True):
        torch.testing.assert_close(actual, by_step(other.unflatten(0, (B, T))))
    torch.testing.assert_close(state, expected_state)
    assert torch.equal(agent.get_value(x, STATE, done), value)


@torch.no_grad()
def test_results_equal_those_of_cleanrls_loop_over_steps():
    agent = make_lstm(Discrete(3))
    inner, state = agent.policy.policy, STATE
    log_probabilities, values = [], []
    actions = torch.arange(T * B) % 3
    for t in range(T):  # the LSTM logic of ppo_atari_lstm.py, written for one step
        hidden, lookup = inner.encode_observations(OBSERVATIONS[:, t])
        keep = (1 - STARTS[:, t].float()).view(1, -1, 1)
        hidden, state = agent.lstm(hidden.unsqueeze(0), (keep * state[0], keep * state[1]))
        logits, value = inner.decode_actions(hidden[0], lookup)
        log_probabilities.append(Categorical(logits=logits).log_prob(actions[t * B : t * B + B]))
        values.append(value)
    found = agent.get_action_and_value(
        by_step(OBSERVATIONS), STATE, by_step(STARTS).float(), actions
    )
    torch.testing.assert_close(found[1], torch.cat(log_probabilities))
    torch.testing.assert_close(found[3], torch.cat(values))
    torch.testing.assert_close(found[4], state)


@over_action_spaces
@torch.no_grad()
def test_a_rollout_with_cleanrls_signature_is_evaluated_like_its_steps(space):
    agent, state, found = make_lstm(space), STATE, []
    for t in range(T):
        *results, state = agent(OBSERVATIONS[:, t], state, STARTS[:, t].float())
        found.append(results)
    actions, log_probabilities, _, values = (torch.cat(each) for each in zip(*found, strict=True))
    again = agent(by_step(OBSERVATIONS), STATE, by_step(STARTS), actions)
    torch.testing.assert_close(again[1], log_probabilities)
    torch.testing.assert_close(again[3], values)
    torch.testing.assert_close(again[4], state)


@over_action_spaces
@torch.no_grad()
def test_the_calls_of_cleanrls_recurrent_script_name_its_policy(space):
    agent = Policy(make(space, LSTMWrapper).policy)
    x, done = OBSERVATIONS[:, 0], torch.zeros(B)
    action, *_, state = agent.get_action_and_value(x)
    for misuse in (
        lambda: agent.get_value(x, state, done),
        lambda: agent.get_action_and_value(x, state, done),
        lambda: agent.get_action_and_value(x, state, done.bool()),
        lambda: agent.get_action_and_value(x, state, done, action),
        lambda: agent(x, state, done),
    ):
        with pytest.raises(ArgumentError, match="use LSTMPolicy in CleanRL's recurrent scripts"):
            misuse()


def test_adapters_refuse_the_policies_of_others():
    recurrent, stateless = make(Discrete(3), LSTMWrapper).policy, make(Discrete(3)).policy
    with pytest.raises(ArgumentError, match="LSTMWrapper is recurrent"):
        type("OfMine", (Policy,), {})(recurrent)
    for adapter in (LSTMPolicy, RecurrentPolicy):
        with pytest.raises(ArgumentError, match="Default has no initial_state"):
            adapter(stateless)
    with pytest.raises(ArgumentError, match=r"nn\.LSTM; GRUWrapper has none"):
        LSTMPolicy(make(Discrete(3), GRUWrapper).policy)
