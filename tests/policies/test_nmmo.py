"""The Neural MMO network takes only allowed actions and targets observed entities."""

import numpy as np
import pytest
import torch

from pufferlib.exceptions import ArgumentError
from pufferlib.models import LSTMWrapper
from pufferlib.policies.nmmo import Policy
from pufferlib.pytorch import sample_actions
from pufferlib.registry import nmmo


@pytest.fixture(scope="module")
def env():
    return nmmo.make_env("NMMO-Small", num_agents=16)


@pytest.fixture(scope="module")
def observations(env):
    return torch.tensor(np.stack(list(env.reset(seed=0)[0].values())))


def parts(env):
    return [
        (action, part)
        for action, parts in env.action_layout.structure.spaces.items()
        for part in parts.spaces
    ]


def test_a_batch_of_one_and_a_sequence_pass_through(env, observations):
    heads, value = Policy(env)(observations[:1])
    assert [head.shape[1] for head in heads] == env.single_action_space.nvec.tolist()
    assert value.shape == (1, 1)
    recurrent = LSTMWrapper(env, Policy(env))
    sequence = observations[:6].reshape(2, 3, -1)
    heads, value, _ = recurrent(sequence)
    assert (heads[0].shape[0], value.shape) == (6, (6, 1))
    # Each row equals a batch of one: targets are looked up in the row's observation.
    alone, _, _ = recurrent(sequence[1:])
    torch.testing.assert_close([head[3:] for head in heads], list(alone))


def test_forbidden_choices_are_never_sampled(env, observations):
    torch.manual_seed(0)
    heads, _ = Policy(env)(observations)
    masks = [env.observation_layout.unflatten(row.numpy())["ActionTargets"] for row in observations]
    forbidden = 0
    for _ in range(50):
        actions, _, _ = sample_actions(heads)
        for row, mask in enumerate(masks):
            for column, (action, part) in enumerate(parts(env)):
                assert mask[action][part][actions[row, column]] == 1
                forbidden += int((mask[action][part] == 0).sum())
    assert forbidden > 0


def test_outputs_for_an_absent_agent_are_finite(env, observations):
    heads, value = Policy(env)(torch.zeros_like(observations[:2]))
    _, log_probabilities, entropies = sample_actions(heads)
    for result in (value, log_probabilities, entropies):
        assert result.isfinite().all()


def test_the_logit_of_a_target_does_not_depend_on_its_position(env, observations):
    policy = Policy(env)
    torch.nn.init.normal_(policy.decoder.layer.weight)
    row = observations[0].numpy().copy()
    found = env.observation_layout.views(row)
    swapped = row.copy()
    views = env.observation_layout.views(swapped)
    paths = [field.leaf.path for field in env.observation_layout.fields]
    entity = paths.index(("Entity",))
    target = paths.index(("ActionTargets", "Attack", "Target"))
    for view in (found, views):
        view[target][:] = 1
    views[entity][[1, 2]] = found[entity][[2, 1]]
    heads, _ = policy(torch.tensor(np.stack([row, swapped])))
    rated = heads[parts(env).index(("Attack", "Target"))]
    torch.testing.assert_close(rated[0, [1, 2]], rated[1, [2, 1]])
    assert rated[0, 1] != rated[0, 2]


@pytest.mark.parametrize(
    "settings", [{"PROVIDE_NOOP_ACTION_TARGET": False}, {"PLAYER_VISION_RADIUS": 2}]
)
def test_worlds_of_other_shapes_can_be_learned_from(settings):
    torch.manual_seed(0)
    env = nmmo.make_env("NMMO-Small", num_agents=4, **settings)
    policy = Policy(env)
    found = np.stack(list(env.reset(seed=0)[0].values()))
    heads, value = policy(torch.tensor(found))
    assert [head.shape[1] for head in heads] == env.single_action_space.nvec.tolist()
    actions, _, _ = sample_actions(heads)
    env.step(dict(zip(env.agents, actions.numpy(), strict=True)))
    value.sum().backward()
    assert policy.map[0].weight.grad.any()


@pytest.mark.parametrize("radius", [1, 2])
def test_every_tile_of_a_small_view_affects_the_output(radius):
    env = nmmo.make_env("NMMO-Small", num_agents=1, PLAYER_VISION_RADIUS=radius)
    policy = Policy(env)
    side = 2 * radius + 1
    tiles = torch.randn(64, 8, side, side, requires_grad=True)
    policy.map(tiles).sum().backward()
    assert tiles.grad.abs().sum((0, 1)).all()


def test_an_observation_without_a_needed_key_is_refused():
    env = nmmo.make_env("NMMO-Small", EXCHANGE_SYSTEM_ENABLED=False)
    with pytest.raises(ArgumentError, match="lacks Market"):
        Policy(env)
