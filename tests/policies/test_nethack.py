"""The NetHack network sees the square around the hero."""

import pytest
import torch

from pufferlib.exceptions import ArgumentError
from pufferlib.models import LSTMWrapper
from pufferlib.policies.nethack import Policy
from pufferlib.registry import nethack


@pytest.fixture(scope="module")
def env():
    return nethack.make_env()


def test_a_batch_of_one_and_a_sequence_pass_through(env):
    observation = torch.tensor(env.reset(seed=0)[0])
    heads, value = Policy(env)(observation[None])
    assert (heads.shape, value.shape) == ((1, 23), (1, 1))
    heads, value, _ = LSTMWrapper(env, Policy(env))(observation.expand(2, 3, -1))
    assert (heads.shape, value.shape) == ((6, 23), (6, 1))


@pytest.mark.parametrize(("x", "y"), [(40, 10), (0, 0), (78, 20)])
def test_the_square_around_the_hero_is_cut_from_the_map(env, x, y):
    policy = Policy(env, crop=2, embedding_size=1)
    with torch.no_grad():  # an embedding that is the character itself
        policy.char_embedding.weight[:, 0] = torch.arange(256.0)
        policy.color_embedding.weight.zero_()
    chars = torch.randint(33, 127, (1, 21, 79), dtype=torch.uint8)
    blstats = torch.zeros(1, 27, dtype=torch.int64)
    blstats[0, 0], blstats[0, 1] = x, y
    near = policy._see_near(chars, torch.zeros_like(chars), blstats).reshape(5, 5)
    for row in range(-2, 3):
        for column in range(-2, 3):
            inside = 0 <= y + row < 21 and 0 <= x + column < 79
            expected = chars[0, y + row, x + column].item() if inside else ord(" ")
            assert near[row + 2, column + 2] == expected


def test_every_cell_of_the_map_affects_the_output(env):
    torch.manual_seed(0)
    planes = torch.rand(1, 2, 21, 79, requires_grad=True)
    Policy(env).map(planes).sum().backward()
    assert (planes.grad != 0).all()


def test_an_observation_without_a_needed_key_is_refused():
    env = nethack.make_env(observation_keys=("chars", "blstats"))
    with pytest.raises(ArgumentError, match="lacks colors, message"):
        Policy(env)
