"""Baseline policies accept any space, and recurrent state lasts exactly one episode."""

import itertools
import math

import numpy as np
import pytest
import torch
from environments import Sampler
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary
from spaces_cases import over_spaces, samples
from torch.distributions import Normal

from pufferlib.central_critic import CentralCritic
from pufferlib.emulation import GymnasiumPufferEnv
from pufferlib.models import Default, FlatFeatures, LSTMWrapper, Recurrent
from pufferlib.pytorch import sample_actions
from pufferlib.registry.ocean.squared import Squared


def policy_and_rows(space, action_space=None, rows=3):
    torch.manual_seed(0)
    env = GymnasiumPufferEnv(Sampler(space, action_space))
    flatten = env.observation_layout.flatten
    observations = np.stack([flatten(value) for value in samples(space, rows)])
    return Default(env, hidden_size=8), torch.as_tensor(observations), env


def assert_learnable(policy, heads, value):
    """Every parameter gets a finite gradient from the loss of a policy gradient step."""
    _, log_probabilities, entropies = sample_actions(heads)
    (log_probabilities.mean() + entropies.mean() + value.mean()).backward()
    for name, parameter in policy.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


@over_spaces
@pytest.mark.parametrize("rows", [1, 3])
def test_default_accepts_any_observation_space(space, rows):
    policy, observations, _ = policy_and_rows(space, rows=rows)
    heads, value = policy(observations)
    assert (heads.shape, value.shape) == ((rows, 2), (rows, 1))
    assert value.isfinite().all()
    assert_learnable(policy, heads, value)


@over_spaces
def test_default_supports_any_action_space(space):
    policy, observations, env = policy_and_rows(Box(-1, 1, (2,)), space)
    heads, value = policy(observations)
    actions = sample_actions(heads)[0]
    assert actions.shape == (3, *env.action_space.shape)
    for action in actions.numpy():
        if not isinstance(env.action_space, Box):  # a Normal draws outside of bounds
            assert env.action_space.contains(action)
    assert_learnable(policy, heads, value)


def test_a_mixed_action_space_has_a_head_of_the_right_kind_for_each_part():
    space = Dict(a=Box(-1, 1, (2,)), b=Discrete(3), c=MultiBinary(2), d=Box(-1, 1, (1,)))
    policy, observations, _ = policy_and_rows(Discrete(2), space)
    with torch.no_grad():
        policy.decoder.log_std[:] = torch.tensor([0.0, 1.0, 2.0])
    heads, _ = policy(observations)
    assert [isinstance(head, Normal) for head in heads] == [True, False, False, False, True]
    widths = [head.loc.shape[1] if isinstance(head, Normal) else head.shape[1] for head in heads]
    assert widths == [2, 3, 2, 2, 1]
    torch.testing.assert_close(heads[0].stddev[0], torch.tensor([0.0, 1.0]).exp())
    torch.testing.assert_close(heads[-1].stddev[0], torch.tensor([2.0]).exp())


def test_default_encodes_choices_as_one_hot_and_reads_the_logarithm_of_bytes():
    space = Dict(bytes=Box(0, 255, (2,), np.uint8), choice=Discrete(3, start=1), x=Box(-9, 9, (1,)))
    policy, _, env = policy_and_rows(space)
    value = {"bytes": np.array([255, 1], np.uint8), "choice": 2, "x": np.array([-4], np.float32)}
    seen = []
    policy.encoder.register_forward_pre_hook(lambda module, arguments: seen.append(arguments[0]))
    policy(torch.as_tensor(env.observation_layout.flatten(value)).unsqueeze(0))
    logarithms = [math.log(256), math.log(2)]
    torch.testing.assert_close(seen[0], torch.tensor([[*logarithms, 0, 1, 0, -4]]))


def test_bytes_may_be_scaled_as_in_earlier_versions():
    env = GymnasiumPufferEnv(Sampler(Box(0, 255, (2,), np.uint8)))
    features = FlatFeatures(env)
    features.uint8 = "scaled"
    found = features(torch.tensor([[51, 255]], dtype=torch.uint8))
    torch.testing.assert_close(found, torch.tensor([[0.2, 1.0]]))


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((36, 40, 1), 0.2), ((1, 40, 36), 0.2), ((7, 7, 3), math.log(52)), ((128,), math.log(52))],
)
def test_the_pixels_of_an_image_are_scaled_to_1(shape, expected):
    env = GymnasiumPufferEnv(Sampler(Box(0, 255, shape, np.uint8)))
    features = FlatFeatures(env)(torch.full((1, *env.single_observation_space.shape), 51).byte())
    torch.testing.assert_close(features, torch.full((1, math.prod(shape)), expected))


def test_default_accepts_a_native_environment():
    env = Squared(num_agents=2)
    heads, value = Default(env)(torch.as_tensor(env.reset(seed=0)[0]))
    assert (heads.shape, value.shape) == ((2, 8), (2, 1))


B, T, WIDTH = 3, 6, 4
VECTOR = Box(-1, 1, (WIDTH,))
STARTS = torch.zeros(B, T, dtype=torch.bool)
STARTS[0, 0] = STARTS[1, 2] = STARTS[1, 5] = STARTS[2, 2] = True


def recurrent(rows=B, space=VECTOR):
    torch.manual_seed(1)
    env = GymnasiumPufferEnv(Sampler(space))
    policy = LSTMWrapper(env, Default(env, hidden_size=8), hidden_size=8)
    values = [env.observation_layout.flatten(value) for value in samples(space, rows * T)]
    observations = torch.as_tensor(np.stack(values)).unflatten(0, (rows, T))
    state = (torch.randn(1, rows, 8), torch.randn(1, rows, 8))
    return policy, observations, state


def step_by_step(policy, observations, state, starts):
    """Return logits (B, T, 2) and the last state, with one call per step."""
    logits = []
    for t in range(observations.shape[1]):
        step_starts = None if starts is None else starts[:, t]
        heads, _, state = policy(observations[:, t], state, step_starts)
        logits.append(heads)
    return torch.stack(logits, 1), state


@pytest.mark.parametrize("starts", [STARTS, None], ids=["with starts", "without"])
@pytest.mark.parametrize("rows", [1, B])
@torch.no_grad()
def test_a_sequence_gives_the_same_results_as_its_steps(starts, rows):
    policy, observations, state = recurrent(rows)
    starts = None if starts is None else starts[-rows:]
    heads, values, last = policy(observations, state, starts)
    expected, expected_last = step_by_step(policy, observations, state, starts)
    torch.testing.assert_close(heads.unflatten(0, (rows, T)), expected)
    torch.testing.assert_close(last, expected_last)
    assert values.shape == (rows * T, 1)


@torch.no_grad()
def test_state_is_reset_exactly_where_an_episode_starts():
    policy, observations, state = recurrent()
    logits = policy(observations, state, STARTS)[0].unflatten(0, (B, T))
    unbroken = policy(observations, state)[0].unflatten(0, (B, T))
    # Each episode is independent: it starts from a new state, or continues from the given one.
    for row in range(B):
        cuts = [0, *STARTS[row, 1:].nonzero().ravel().add(1).tolist(), T]
        for begin, end in itertools.pairwise(cuts):
            own = None if STARTS[row, begin] else tuple(part[:, row : row + 1] for part in state)
            alone = policy(observations[row : row + 1, begin:end], own)[0]
            torch.testing.assert_close(logits[row, begin:end], alone)
            if own is None:
                assert not torch.allclose(logits[row, begin], unbroken[row, begin])


@pytest.mark.parametrize("is_central", [False, True])
@torch.no_grad()
def test_steps_known_to_have_a_start_change_nothing(is_central):
    policy, observations, state = recurrent()
    expected, _, expected_last = policy(observations, state, STARTS)
    if is_central:
        policy = CentralCritic(GymnasiumPufferEnv(Sampler(VECTOR)), policy, 2, hidden_size=8)
    heads, _, last = policy(observations, state, STARTS, start_steps=[0, 2, 5])
    assert torch.equal(heads, expected)
    assert all(map(torch.equal, last, expected_last))
    other = policy(observations, state, STARTS, start_steps=[0, 2])[0]  # they are what counts
    assert not torch.equal(other, expected)


@torch.no_grad()
def test_no_state_is_the_initial_state():
    policy, observations, _ = recurrent()
    fresh = policy(observations)[0]
    assert torch.equal(fresh, policy(observations, policy.initial_state(B))[0])
    assert all(part.shape == (1, B, 8) and not part.any() for part in policy.initial_state(B))


def test_no_gradient_crosses_a_start():
    policy, observations, state = recurrent()
    observations.requires_grad_()
    logits = policy(observations, state, STARTS)[0].unflatten(0, (B, T))
    logits[:, 2].sum().backward()
    reached = observations.grad.abs().sum(-1) > 0  # (B, T)
    assert reached.tolist() == [
        [True, True, True, False, False, False],
        [False, False, True, False, False, False],
        [False, False, True, False, False, False],
    ]


@over_spaces
def test_recurrent_policies_accept_any_observation_space(space):
    policy, observations, state = recurrent(2, space)
    heads, value, _ = policy(observations, state)
    assert (heads.shape, value.shape) == ((2 * T, 2), (2 * T, 1))
    assert_learnable(policy, heads, value)


def test_the_lstm_may_be_wider_than_the_encoder():
    env = GymnasiumPufferEnv(Sampler(VECTOR))

    class Widening(Default):
        def __init__(self):
            super().__init__(env, hidden_size=8)
            self.decoder, self.value_head = torch.nn.Linear(16, 2), torch.nn.Linear(16, 1)

    policy = Recurrent(env, Widening(), hidden_size=16)
    heads, value, (hidden, _) = policy(torch.zeros(B, WIDTH))
    assert (heads.shape, value.shape, hidden.shape) == ((B, 2), (B, 1), (1, B, 16))


def test_rows_of_absent_agents_are_accepted_for_any_start_of_a_discrete_space():
    policy, rows, _ = policy_and_rows(Discrete(3, start=5))
    _, value = policy(torch.zeros_like(rows))
    assert torch.isfinite(value).all()
