"""The network for grids embeds codes, uses other numbers directly, and reads texts."""

import gymnasium
import numpy as np
import pytest
import torch
from environments import Sampler
from gymnasium.spaces import Box, Dict, Discrete, Text

from pufferlib.emulation import GymnasiumPufferEnv
from pufferlib.exceptions import ArgumentError
from pufferlib.models import LSTMWrapper
from pufferlib.policies.grid import GridPolicy, channels_first_policy, channels_last_policy

CODES = Box(2, 6, (5, 4, 3), np.int16)
LEVELS = Box(0.0, 5.0, (3, 7, 6), np.float32)
WORDS = Text(20, min_length=0, charset="abc")
SPACES = {
    "codes alone": CODES,
    "codes, a choice and numbers": Dict(image=CODES, way=Discrete(4), speed=Box(-1, 1, (2,))),
    "codes and a text": Dict(image=CODES, mission=WORDS),
    "numbers, channels first": LEVELS,
}


def made(space):
    env = GymnasiumPufferEnv(Sampler(space))
    return env, torch.tensor(env.reset(seed=0)[0])


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_each_weight_learns_and_one_graph_compiles(space, compile_whole):
    env, observation = made(space)
    policy = GridPolicy(env, hidden_size=24)
    batch = torch.stack([observation, torch.tensor(env.step(0)[0])])
    heads, value = policy(batch)
    assert (heads.shape, value.shape) == ((2, 2), (2, 1))
    (heads.square().sum() + value.sum()).backward()
    assert [name for name, weight in policy.named_parameters() if weight.grad is None] == []
    compiled = compile_whole(policy, backend="eager")
    torch.testing.assert_close(compiled(batch)[1], policy(batch)[1])
    one, _ = policy(observation[None])
    torch.testing.assert_close(one, policy(batch)[0][:1])
    heads, value, _ = LSTMWrapper(env, policy)(observation.expand(2, 3, *observation.shape))
    assert (heads.shape, value.shape) == ((6, 2), (6, 1))


def test_the_codes_of_a_cell_add_up_their_embeddings():
    env, _ = made(CODES)
    cells = GridPolicy(env, embedding_size=1).cells
    with torch.no_grad():  # code c of plane p stands for 10 ** p * c
        worth = [10**plane * code for plane in range(3) for code in range(2, 7)]
        cells.embedding.weight[:, 0] = torch.tensor(worth, dtype=torch.float32)
    grid = torch.randint(2, 7, (2, 5, 4, 3), dtype=torch.int16)
    expected = grid.float() @ torch.tensor([1.0, 10.0, 100.0])
    torch.testing.assert_close(cells(grid)[:, 0], expected)


def test_numbers_are_used_directly_and_the_channel_axis_may_be_set():
    env, _ = made(LEVELS)
    grid = torch.rand(2, 3, 7, 6)
    torch.testing.assert_close(GridPolicy(env).cells(grid), grid)
    last = GridPolicy(env, is_channels_first=False).cells
    torch.testing.assert_close(last(grid), grid.permute(0, 3, 1, 2))


@pytest.mark.parametrize("shape", [(7, 5, 6), (6, 5, 7), (3, 3, 3)])
def test_a_set_channel_axis_is_used_for_any_grid_size(shape):
    env, _ = made(Box(0, 255, shape, np.uint8))
    grid = torch.zeros(1, *shape, dtype=torch.uint8)
    assert channels_first_policy(env).cells(grid).shape[2:] == shape[1:]
    assert channels_last_policy(env).cells(grid).shape[2:] == shape[:2]
    # Changing all planes of a cell changes the embedding of that cell and of no other.
    first, last = grid.clone(), grid.clone()
    first[:, :, 2, 1] = last[:, 2, 1] = 9
    for policy, other in ((channels_first_policy(env), first), (channels_last_policy(env), last)):
        changed = (policy.cells(grid) != policy.cells(other)).any(1)[0]
        assert changed.nonzero().tolist() == [[2, 1]]


def test_the_row_of_an_absent_agent_is_accepted():
    env, observation = made(CODES)
    _, value = GridPolicy(env)(torch.zeros_like(observation)[None])
    assert value.isfinite().all()


def test_different_texts_have_different_features():
    env, _ = made(Dict(image=CODES, mission=WORDS))
    (text,) = GridPolicy(env).texts
    one, other = torch.zeros(2, 1, 20, dtype=torch.int64)
    one[0, :3] = torch.tensor([1, 2, 3])
    other[0, :3] = torch.tensor([3, 2, 1])
    assert not torch.allclose(text(one), text(other))


def test_an_observation_without_a_grid_is_refused():
    env = GymnasiumPufferEnv(gymnasium.make("CartPole-v1"))
    with pytest.raises(ArgumentError, match="this one has 0 among leaves of shapes"):
        GridPolicy(env)
