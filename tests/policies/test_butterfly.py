"""The Butterfly policy uses convolutions for pixels, and linear layers otherwise."""

from contextlib import closing

import pytest
import torch

from pufferlib import vector
from pufferlib.models import Default
from pufferlib.policies.pixels import NatureCNN
from pufferlib.registry import butterfly


def test_images_of_more_frames_than_columns_are_read_as_channels_first():
    with closing(butterfly.make_env(size=(40, 36), frames=44)) as env:
        assert env.single_observation_space.shape == (44, 40, 36)
        assert butterfly.Policy(env).convolutions[0].in_channels == 44


@pytest.mark.parametrize(
    ("task", "kind"), [("pistonball_v6", NatureCNN), ("knights_archers_zombies_v11", Default)]
)
def test_the_observation_space_determines_the_network(task, kind):
    with closing(vector.make(butterfly.env_creator(task), num_envs=1)) as vecenv:
        policy = butterfly.Policy(vecenv)
        assert type(policy) is kind
        _, values = policy(torch.as_tensor(vecenv.reset(seed=0)[0]))
        assert values.shape == (vecenv.num_agents, 1)
