"""The network for agents' local views of a grid."""

import numpy as np
import pytest
import torch
from environments import Sampler
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete

from pufferlib.emulation import GymnasiumPufferEnv
from pufferlib.exceptions import ArgumentError
from pufferlib.models import Default, LSTMWrapper
from pufferlib.policies.local_grid import Policy, policy
from pufferlib.pytorch import sample_actions

GRID = Box(0, 2, (13, 13, 5), np.float32)
KINDS = Dict(team=Discrete(2), deer=Box(0, 2, (3, 3, 5), np.float32), tiger=GRID)
ROWS = 6


def env_of(space):
    return GymnasiumPufferEnv(Sampler(space, MultiDiscrete([5, 9])))


def rows_of(env):
    env.reset(seed=0)
    return torch.tensor(np.stack([env.reset()[0] for _ in range(ROWS)]))


@pytest.mark.parametrize("space", [GRID, KINDS], ids=["one", "kinds"])
def test_it_acts_and_every_weight_learns(space):
    env = env_of(space)
    observations = rows_of(env)
    network = Policy(env, hidden_size=16)
    heads, value = network(observations)
    actions, log_probabilities, _ = sample_actions(heads)
    assert actions.shape == (ROWS, 2)
    assert value.shape == (ROWS, 1)
    (log_probabilities.sum() + value.sum()).backward()
    assert all(weight.grad is not None for weight in network.parameters())
    assert LSTMWrapper(env, network)(observations)[1].shape == (ROWS, 1)


def test_every_cell_of_every_grid_affects_the_output():
    env = env_of(KINDS)
    network = Policy(env, hidden_size=16)
    parts = {"team": 0, "deer": np.zeros((3, 3, 5), np.float32), "tiger": np.zeros(GRID.shape)}
    rows = []
    for kind, cell in ((None, None), ("deer", (2, 2, 4)), ("tiger", (12, 12, 4)), ("tiger", 0)):
        changed = {key: np.array(part, np.float32) for key, part in parts.items()}
        if kind:
            changed[kind][cell] = 1
        rows.append(env.observation_layout.flatten(changed | {"team": 0}))
    values = network(torch.tensor(np.stack(rows)))[1].ravel().tolist()
    assert len(set(values)) == len(values)


def test_without_a_grid_it_is_default_or_an_error():
    env = env_of(Box(-1, 1, (31,), np.float32))
    assert isinstance(policy(env), Default)
    assert isinstance(policy(env_of(GRID)), Policy)
    with pytest.raises(ArgumentError, match="needs an observation of shape"):
        Policy(env)
