"""The MicroRTS network takes only allowed actions, cell by cell."""

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box

from pufferlib.emulation import GymnasiumPufferEnv
from pufferlib.exceptions import ArgumentError
from pufferlib.models import LSTMWrapper
from pufferlib.policies.microrts import Policy
from pufferlib.pytorch import sample_actions
from pufferlib.registry import microrts

pytestmark = pytest.mark.leaves_threads  # Java's
PARTS = (6, 4, 4, 4, 4, 7, 49)


@pytest.fixture(scope="module")
def env():
    return microrts.make_env("MicroRTS-8x8-passiveAI")


@pytest.fixture(scope="module")
def observation(env):
    return torch.tensor(env.reset(seed=0)[0])


def test_a_batch_of_one_and_a_sequence_pass_through(env, observation):
    heads, value = Policy(env)(observation[None])
    assert [head.shape for head in heads] == [(1, count) for count in PARTS * 64]
    assert value.shape == (1, 1)
    heads, value, _ = LSTMWrapper(env, Policy(env))(observation.expand(2, 3, -1))
    assert (heads[0].shape, value.shape) == ((6, 6), (6, 1))


def test_an_action_is_allowed_by_the_mask_of_its_own_cell(env, observation):
    torch.manual_seed(0)
    masks = env.observation_layout.unflatten(observation.numpy())["action_mask"]
    policy = Policy(env)
    policy.logits[-1].bias.data = torch.arange(78.0)  # prefers the last choice of every part
    actions, _, _ = sample_actions(policy(observation.expand(20, -1))[0])
    actions = actions.reshape(20, 64, 7).numpy()
    ends = np.cumsum(PARTS)
    assert 0 < masks.any(1).sum() < 64
    for cell, mask in enumerate(masks):
        for part, allowed in enumerate(np.split(mask, ends[:-1])):
            choices = set(np.flatnonzero(allowed)) or {0}
            assert set(actions[:, cell, part]) <= choices


def test_an_observation_without_a_mask_is_refused():
    import gymnasium

    class Bare(gymnasium.Env):
        observation_space = Box(0, 1, (8, 8, 27), np.uint8)
        action_space = gymnasium.spaces.MultiDiscrete(np.tile(PARTS, 64))

    with pytest.raises(ArgumentError, match="lacks observation, action_mask"):
        Policy(GymnasiumPufferEnv(Bare()))
