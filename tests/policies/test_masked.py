"""The network that never takes an illegal action."""

from contextlib import closing

import gymnasium
import numpy as np
import pytest
import torch
from environments import Sampler
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete, Tuple

from pufferlib.emulation import GymnasiumPufferEnv
from pufferlib.exceptions import ArgumentError
from pufferlib.models import LSTMWrapper
from pufferlib.policies.masked import MaskedDefault
from pufferlib.pytorch import sample_actions
from pufferlib.vector import make


class Doors(gymnasium.Env):
    """Five doors; the mask marks the open ones."""

    observation_space = Dict(
        action_mask=Box(0, 1, (5,), np.int8), observation=Box(-1, 1, (3,), np.float32)
    )
    action_space = Discrete(5)

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        return self._doors(), {}

    def step(self, action):
        return self._doors(), 0.0, False, False, {}

    def _doors(self):
        mask = (self.np_random.random(5) < 0.5).astype(np.int8)
        mask[0] = 1
        return {"action_mask": mask, "observation": self.np_random.random(3).astype(np.float32)}


def rows(vecenv, count=64):
    """Return (rows, masks) of many steps; the last row is that of an absent agent: all zero."""
    found = [vecenv.reset(0)[0].copy()]
    for _ in range(count - 1):
        found.append(vecenv.step(np.zeros(1, np.int64))[0].copy())
    observations = np.concatenate([*found, np.zeros_like(found[0])])
    masks = vecenv.observation_layout.unflatten(observations)["action_mask"] != 0
    return torch.tensor(observations), torch.tensor(masks)


def test_illegal_actions_have_probability_zero_and_legal_ones_keep_their_ratios():
    torch.manual_seed(0)
    with closing(make(lambda: GymnasiumPufferEnv(Doors()), num_envs=1)) as vecenv:
        observations, masks = rows(vecenv)
        policy = MaskedDefault(vecenv)
        logits, _ = policy(observations)
        # By hand: the softmax over the legal ones alone.
        raw = policy.decoder(policy.encode_observations(observations)[0])[:-1]
        weights = raw.exp() * masks[:-1]
        expected = weights / weights.sum(1, keepdim=True)
        torch.testing.assert_close(logits.softmax(1)[:-1], expected)
        assert (logits.softmax(1)[:-1][~masks[:-1]] == 0).all()
        actions, log_probabilities, entropies = sample_actions(logits)
        assert masks[:-1].gather(1, actions[:-1].reshape(-1, 1)).all()
        assert log_probabilities.isfinite().all()
        assert entropies.isfinite().all()
        torch.testing.assert_close(logits[-1].softmax(0), torch.full((5,), 0.2))


def test_gradients_are_finite_and_zero_for_a_row_with_one_legal_action():
    with closing(make(lambda: GymnasiumPufferEnv(Doors()), num_envs=1)) as vecenv:
        observations, masks = rows(vecenv)
        policy = MaskedDefault(vecenv)
        logits, value = policy(observations)
        _, log_probabilities, entropies = sample_actions(logits)
        (log_probabilities.sum() + entropies.sum() + value.sum()).backward()
        assert all(weight.grad.isfinite().all() for weight in policy.parameters())
        forced = observations[(masks.sum(1) == 1)]
        assert len(forced)
        policy.zero_grad()
        _, log_probabilities, entropies = sample_actions(policy(forced)[0])
        (log_probabilities.sum() + entropies.sum()).backward()
        assert not policy.decoder.layer.weight.grad.any()


def test_the_mask_is_not_a_feature():
    with closing(make(lambda: GymnasiumPufferEnv(Doors()), num_envs=1)) as vecenv:
        policy = MaskedDefault(vecenv)
        assert policy.encoder[0].in_features == 3
        parts = {"action_mask": np.ones(5, np.int8), "observation": np.ones(3, np.float32)}
        both = np.zeros((2, *vecenv.single_observation_space.shape), np.uint8)
        for row, mask in zip(both, (np.ones(5, np.int8), np.eye(5, dtype=np.int8)[1]), strict=True):
            row[:] = vecenv.observation_layout.flatten(parts | {"action_mask": mask})
        values = policy(torch.tensor(both))[1]
        torch.testing.assert_close(values[0], values[1])


def test_a_recurrent_policy_is_masked_over_a_sequence():
    with closing(make(lambda: GymnasiumPufferEnv(Doors()), num_envs=1)) as vecenv:
        observations, masks = rows(vecenv)
        policy = LSTMWrapper(vecenv, MaskedDefault(vecenv))
        logits, *_ = policy(observations[:-1].reshape(8, 8, -1))
        assert (logits.softmax(1)[~masks[:-1]] == 0).all()


def observed(choices):
    return Dict(action_mask=Box(0, 1, (choices,), np.int8), x=Box(0, 1, (1,), np.float32))


def test_each_column_of_several_actions_is_masked():
    env = GymnasiumPufferEnv(Sampler(observed(5), MultiDiscrete([3, 2])))
    policy = MaskedDefault(env)
    mask = np.array([[1, 0, 1, 0, 1], [0, 1, 0, 1, 1]], np.int8)
    layout = env.observation_space.layout
    rows = [layout.flatten({"action_mask": legal, "x": np.ones(1, np.float32)}) for legal in mask]
    first, second = policy(torch.as_tensor(np.stack(rows)))[0]
    assert ((first.softmax(1) > 0).numpy() == mask[:, :3]).all()
    assert ((second.softmax(1) > 0).numpy() == mask[:, 3:]).all()


@pytest.mark.parametrize(
    ("choices", "actions", "message"),
    [
        (4, Discrete(5), r"got 4 numbers for Discrete\(5\)"),
        (6, MultiDiscrete([3, 2]), "got 6 numbers for MultiDiscrete"),
        (2, Box(-1, 1, (2,)), "got 2 numbers for Box"),
        (3, Tuple((Discrete(3), Box(-1, 1, (1,)))), "got 3 numbers for Box"),
    ],
)
def test_a_mask_that_does_not_fit_the_actions_is_refused(choices, actions, message):
    env = GymnasiumPufferEnv(Sampler(observed(choices), actions))
    with pytest.raises(ArgumentError, match=message):
        MaskedDefault(env)


def test_without_a_mask_it_is_default():
    with closing(
        make(lambda: GymnasiumPufferEnv(gymnasium.make("CartPole-v1")), num_envs=2)
    ) as vecenv:
        logits, value = MaskedDefault(vecenv)(torch.tensor(vecenv.reset(0)[0]))
        assert logits.shape == (2, 2)
        assert value.shape == (2, 1)
