"""Each kind of observation space gets a suitable network."""

import numpy as np
import pytest
import torch
from environments import Sampler
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete

from pufferlib.emulation import GymnasiumPufferEnv
from pufferlib.models import Default
from pufferlib.policies.by_observation import policy_of
from pufferlib.policies.grid import GridPolicy
from pufferlib.policies.pixels import NatureCNN

IMAGE = Box(0, 255, (40, 48, 3), np.uint8)
GRID = Box(0, 1, (2, 5, 5), np.float32)
JOINTS = Box(-1, 1, (1, 6, 2), np.float64)


@pytest.mark.parametrize(
    ("space", "suits"),
    [
        (IMAGE, NatureCNN),
        (Dict(screen=IMAGE, health=Box(0, 1, (2,))), NatureCNN),
        (Dict(camera=Box(0, 255, (1, 40, 48, 3), np.uint8), joints=JOINTS), NatureCNN),
        (Dict(one=IMAGE, other=IMAGE), Default),
        (GRID, GridPolicy),
        (Dict(grid=GRID, way=Discrete(4)), GridPolicy),
        (Box(-1, 1, (9,)), Default),
        (JOINTS, Default),
        (Dict(one=GRID, other=GRID), Default),
        (MultiBinary((5, 5, 3)), Default),
        (MultiDiscrete(np.full((5, 5, 3), 4)), Default),
        (Dict(screen=IMAGE, cells=MultiDiscrete(np.full((5, 5, 3), 4, np.uint8))), NatureCNN),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_the_observation_space_determines_the_network(space, suits):
    env = GymnasiumPufferEnv(Sampler(space))
    policy = policy_of(env, hidden_size=32)
    assert type(policy) is suits
    assert policy.hidden_size == 32
    observations = torch.tensor(env.reset(seed=0)[0][None])
    assert policy(observations)[1].shape == (1, 1)
