"""The networks for pixels accept images in any layout, and other leaves next to them."""

import numpy as np
import pytest
import torch
from environments import Sampler
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, Tuple

from pufferlib.emulation import GymnasiumPufferEnv
from pufferlib.exceptions import ArgumentError
from pufferlib.models import LSTMWrapper
from pufferlib.policies.pixels import Impala, NatureCNN
from pufferlib.pytorch import sample_actions

STACK = Box(0, 255, (4, 84, 84), np.uint8)
PICTURE = Box(0, 255, (64, 48, 3), np.uint8)
OBSERVATIONS = {
    "stack": STACK,
    "picture": PICTURE,
    "gray": Box(0, 255, (40, 60), np.uint8),
    "floats": Box(-1, 1, (3, 40, 40), np.float32),
    "with-vectors": Dict(image=PICTURE, speed=Box(-9, 9, (2,), np.float32), turn=Discrete(4)),
    "bytes-and-flags": Tuple([Box(0, 255, (5,), np.uint8), STACK]),
}
ACTIONS = {"discrete": Discrete(5), "buttons": MultiBinary(3), "continuous": Box(-1, 1, (2,))}
over_networks = pytest.mark.parametrize("network", [NatureCNN, Impala])
over_observations = pytest.mark.parametrize(
    "space", [pytest.param(space, id=name) for name, space in OBSERVATIONS.items()]
)


def env_of(space, action_space=None):
    return GymnasiumPufferEnv(Sampler(space, action_space))


def rows_of(env, count):
    env.reset(seed=0)
    return torch.tensor(np.stack([env.reset()[0] for _ in range(count)]))


@over_networks
@pytest.mark.parametrize(
    ("space", "action_space"),
    [
        *[
            pytest.param(space, ACTIONS["discrete"], id=name)
            for name, space in OBSERVATIONS.items()
        ],
        *[pytest.param(OBSERVATIONS["gray"], space, id=name) for name, space in ACTIONS.items()],
    ],
)
def test_every_weight_learns_from_any_image_for_any_action(network, space, action_space):
    env = env_of(space, action_space)
    policy = network(env, hidden_size=16)
    heads, value = policy(rows_of(env, 2))
    _, log_probabilities, entropies = sample_actions(heads)
    assert value.shape == (2, 1)
    (log_probabilities.sum() + entropies.sum() + value.sum()).backward()
    for name, weight in policy.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.isfinite().all(), name


@over_networks
@over_observations
def test_one_row_compiles_in_one_graph_and_agrees_with_the_batch(network, space, compile_whole):
    env = env_of(space)
    policy, rows = network(env, hidden_size=16), rows_of(env, 3)
    compiled = compile_whole(policy, backend="eager")
    heads, value = compiled(rows[:1])
    torch.testing.assert_close(heads, policy(rows)[0][:1], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(value, policy(rows)[1][:1], rtol=1e-4, atol=1e-4)


@over_networks
def test_the_output_does_not_depend_on_the_channel_axis(network):
    first = network(env_of(Box(0, 255, (3, 64, 48), np.uint8)), hidden_size=16)
    last = network(env_of(PICTURE), hidden_size=16)
    last.load_state_dict(first.state_dict())
    picture = rows_of(env_of(PICTURE), 2)
    expected = first(picture.permute(0, 3, 1, 2).contiguous())
    torch.testing.assert_close(last(picture), expected)


@over_networks
def test_bytes_are_scaled_and_floats_are_not(network):
    bytes_ = network(env_of(STACK), hidden_size=16)
    floats = network(env_of(Box(0, 1, (4, 84, 84), np.float32)), hidden_size=16)
    floats.load_state_dict(bytes_.state_dict())
    picture = rows_of(env_of(STACK), 2)
    torch.testing.assert_close(bytes_(picture), floats(picture.float() / 255))


@over_networks
def test_other_leaves_affect_the_output(network):
    env = env_of(OBSERVATIONS["with-vectors"])
    policy, flatten = network(env, hidden_size=16), env.observation_layout.flatten
    image = np.full((64, 48, 3), 9, np.uint8)
    values = []
    for speed, turn in [((0, 0), 0), ((0, 1), 0), ((0, 0), 1)]:
        row = torch.tensor(flatten({"image": image, "speed": speed, "turn": turn}))
        values.append(policy(row[None])[1].item())
    assert len(set(values)) == 3


def test_nature_has_the_layers_and_the_size_of_the_paper():
    policy = NatureCNN(env_of(STACK, Discrete(18)))
    counted = sum(weight.numel() for weight in policy.parameters())
    convolutions = (4 * 8 * 8 + 1) * 32 + (32 * 4 * 4 + 1) * 64 + (64 * 3 * 3 + 1) * 64
    assert counted == convolutions + (3136 + 1) * 512 + (512 + 1) * 18 + (512 + 1)


def test_impala_has_the_size_reported_for_procgen():
    policy = Impala(env_of(Box(0, 255, (64, 64, 3), np.uint8), Discrete(15)))
    assert sum(weight.numel() for weight in policy.parameters()) == 626_256
    assert len([module for module in policy.modules() if type(module).__name__ == "Conv2d"]) == 15


@over_networks
def test_a_recurrent_layer_can_follow_the_encoder(network):
    env = env_of(STACK)
    policy = LSTMWrapper(env, network(env, hidden_size=16))
    heads, value, _ = policy(rows_of(env, 6).reshape(2, 3, 4, 84, 84))
    assert (heads.shape, value.shape) == ((6, 2), (6, 1))


@over_networks
def test_an_observation_without_one_image_is_refused(network):
    with pytest.raises(ArgumentError, match=r"has 0 among leaves of shapes \(4,\)"):
        network(env_of(Box(0, 1, (4,))))
    with pytest.raises(ArgumentError, match="has 2 among leaves"):
        network(env_of(Dict(a=STACK, b=PICTURE)))


def test_a_small_image_is_refused_by_nature_and_accepted_by_impala():
    env = env_of(Box(0, 255, (35, 90, 3), np.uint8))
    with pytest.raises(ArgumentError, match=r"at least 36 x 36 pixels.* has 35 x 90\. Use Impala"):
        NatureCNN(env)
    assert Impala(env_of(Box(0, 255, (5, 5, 3), np.uint8)))(torch.zeros(1, 5, 5, 3))[1].isfinite()


def test_impala_without_stages_is_refused():
    with pytest.raises(ArgumentError, match="at least one stage"):
        Impala(env_of(PICTURE), channels=())
