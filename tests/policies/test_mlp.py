"""Separate networks for policy and value."""

import gymnasium
import numpy as np
import pytest
import torch

from pufferlib import vector
from pufferlib.policies.mlp import MLP


class Mixed(gymnasium.Env):
    """A Dict of bytes and a choice; actions of both kinds."""

    observation_space = gymnasium.spaces.Dict(
        image=gymnasium.spaces.Box(0, 255, (2, 2), np.uint8), kind=gymnasium.spaces.Discrete(3)
    )
    action_space = gymnasium.spaces.Tuple(
        (gymnasium.spaces.Discrete(2), gymnasium.spaces.Box(-1, 1, (3,)))
    )

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.observation_space.seed(seed)
        return self.observation_space.sample(), {}

    def step(self, action):
        return self.observation_space.sample(), 0.0, False, False, {}


def policy_of(make_env, **arguments):
    vecenv = vector.make(make_env, num_envs=4)
    observations = torch.tensor(vecenv.reset(seed=0)[0])
    return MLP(vecenv, **arguments), observations


def test_every_kind_of_observation_and_action_has_its_place():
    policy, observations = policy_of(Mixed, hidden_size=8)
    (choice, numbers), value = policy(observations)
    assert (tuple(choice.shape), tuple(numbers.loc.shape)) == ((4, 2), (4, 3))
    assert tuple(value.shape) == (4, 1)
    assert policy.features.size == 4 + 3  # four pixels, and one-hot of three kinds


@pytest.mark.parametrize("layers", [1, 3])
def test_it_has_as_many_hidden_layers_as_asked_for(layers):
    policy, _ = policy_of(Mixed, hidden_size=8, layers=layers)
    for network in (policy.actor, policy.critic):
        assert sum(isinstance(layer, torch.nn.Linear) for layer in network) == layers


def test_the_loss_of_the_value_reaches_no_weight_of_the_policy():
    policy, observations = policy_of(Mixed)
    policy(observations)[1].sum().backward()
    assert all(weight.grad is None for weight in policy.actor.parameters())
    assert all(weight.grad is None for weight in policy.decoder.parameters())
    assert all(weight.grad.abs().sum() > 0 for weight in policy.critic.parameters())
