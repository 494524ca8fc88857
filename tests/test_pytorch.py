"""Tensors unflatten without loss, and samples become actions of the environment."""

import os
import shutil

import numpy as np
import pytest
import torch
from environments import Sampler
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete, Tuple
from hypothesis import given, settings
from hypothesis import strategies as st
from spaces_cases import SPACES, assert_agree, nested_spaces, over_spaces, samples
from torch.distributions import Normal

from pufferlib.emulation import GymnasiumPufferEnv, Layout
from pufferlib.emulation.description import EnvDescription
from pufferlib.exceptions import ObservationError
from pufferlib.models import Default
from pufferlib.policies.nethack import Policy as NetHackPolicy
from pufferlib.policies.pixels import NatureCNN
from pufferlib.pytorch import (
    action_converter,
    layer_init,
    sample_actions,
    unflatten,
)
from pufferlib.spaces import value_at

DTYPES = ["bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"]
DTYPES += ["float16", "float32", "float64"]
EVERY_DTYPE = Dict({name: Box(0, 1, (2, 3), np.dtype(name).type) for name in DTYPES})


def assert_round_trip(space, seed=0):
    """Check that values of a space equal their unflattened rows."""
    layout = Layout.of(space)
    values = samples(space, 3, seed)
    rows = torch.as_tensor(np.stack([layout.flatten(value) for value in values]))
    parts = unflatten(rows, layout)
    for field in layout.fields:
        leaf = value_at(parts, field.leaf.path)
        expected = np.stack([value_at(value, field.leaf.path) for value in values])
        assert_agree(leaf.numpy(), expected)
        assert leaf.untyped_storage().data_ptr() == rows.untyped_storage().data_ptr()
    assert_agree(unflatten(rows[1], layout), values[1])  # one row, without a batch axis


@over_spaces
def test_unflatten_returns_every_leaf_as_a_view(space):
    assert_round_trip(space)


def test_unflatten_returns_every_dtype_as_a_view():
    assert_round_trip(EVERY_DTYPE)


@given(space=nested_spaces, seed=st.integers(0, 999))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_unflatten_returns_every_leaf_of_generated_spaces(space, seed):
    assert_round_trip(space, seed)


@over_spaces
def test_sequences_unflatten_like_their_rows(space):
    layout = Layout.of(space)
    rows = torch.as_tensor(np.stack([layout.flatten(value) for value in samples(space, 6)]))
    flat, deep = unflatten(rows, layout), unflatten(rows.unflatten(0, (2, 3)), layout)
    for field in layout.fields:
        leaf = value_at(deep, field.leaf.path)
        assert leaf.shape == (2, 3, *field.leaf.shape)
        assert_agree(leaf.flatten(0, 1).numpy(), value_at(flat, field.leaf.path).numpy())


@pytest.mark.parametrize("layout", [None, Layout.of(Box(0, 1, (4,)))], ids=["none", "lone Box"])
def test_flat_observations_are_returned_unchanged(layout):
    rows = torch.rand(2, 4)
    assert unflatten(rows, layout) is rows


FLOATS = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


@pytest.mark.parametrize("dtype", [*FLOATS, torch.int64], ids=str)
@pytest.mark.parametrize("space", [SPACES["like NetHack"], EVERY_DTYPE], ids=["NetHack", "dtypes"])
def test_byte_rows_that_became_floats_are_cast_back(space, dtype):
    layout = Layout.of(space)
    rows = rows_of(layout, 3)
    assert_agree(unflatten(rows.to(dtype), layout), unflatten(rows, layout))
    assert_agree(layout.unflatten(rows.double().numpy()), layout.unflatten(rows.numpy()))


@pytest.mark.parametrize(
    "name", ["box 3-d bytes", "multi-discrete", "discrete int8", "box 2-d int16"]
)
def test_other_integer_rows_that_became_floats_are_cast_back(name):
    layout = Layout.of(SPACES[name])
    rows = rows_of(layout, 3)
    assert_agree(unflatten(rows.float(), layout), unflatten(rows, layout))
    assert_agree(layout.unflatten(rows.double().numpy()), layout.unflatten(rows.numpy()))


@pytest.mark.parametrize(("dtype", "limit"), [(torch.float32, 2**24), (torch.float64, 2**53)])
def test_integers_that_a_float_may_have_rounded_are_refused(dtype, limit):
    layout = Layout.of(Box(0, 2**60, (1,), np.int64))
    rows = torch.tensor([[limit - 1]])
    assert torch.equal(unflatten(rows.to(dtype), layout), rows)
    rounded = torch.tensor([[limit + 1]]).to(dtype)  # the nearest float is limit
    for broken, call in ((rounded, unflatten), (rounded.numpy(), lambda a, b: b.unflatten(a))):
        with pytest.raises(ObservationError, match="rows of int64; got float"):
            call(broken, layout)


@pytest.mark.parametrize(
    "broken", [lambda rows: rows / 255, lambda rows: rows - 300, lambda rows: rows * np.nan]
)
def test_byte_rows_that_were_scaled_are_refused(broken):
    layout = Layout.of(SPACES["like NetHack"])
    rows = broken(rows_of(layout, 3).float())
    with pytest.raises(ObservationError, match=r"rows of uint8; got float32 .* torch\.as_tensor"):
        unflatten(rows, layout)
    with pytest.raises(ObservationError, match=r"rows of uint8; got float32 .* after unflatten"):
        layout.unflatten(rows.numpy())


def test_float_rows_of_another_precision_are_used_as_they_are():
    layout = Layout.of(SPACES["dict of one dtype"])
    rows = rows_of(layout, 3)
    assert unflatten(rows.double(), layout)["a"].dtype == torch.float64


@pytest.mark.parametrize(
    ("policy", "space"),
    [
        (Default, SPACES["like NetHack"]),
        (NetHackPolicy, SPACES["like NetHack"]),
        (Default, SPACES["box 3-d bytes"]),
        (NatureCNN, Box(0, 255, (36, 36, 3), np.uint8)),
    ],
    ids=["Default", "NetHack", "Default of an image", "NatureCNN"],
)
def test_a_policy_takes_rows_as_the_published_guide_passes_them(policy, space, compile_whole):
    env = GymnasiumPufferEnv(Sampler(space))
    policy = policy(env)
    rows = rows_of(env.observation_layout, 2).numpy()
    expected = policy(torch.as_tensor(rows))
    torch.testing.assert_close(policy(torch.Tensor(rows)), expected)
    compiled = compile_whole(policy, backend="aot_eager")
    torch.testing.assert_close(compiled(torch.Tensor(rows)), expected)


def rows_of(layout, count):
    values = samples(layout.structure, count)
    return torch.as_tensor(np.stack([layout.flatten(value) for value in values]))


def assert_compiles(compile_whole, space, backend, counts):
    """Check that leaves, and results computed from them, are bitwise equal when compiled."""
    layout = Layout.of(space)

    def leaves_and_uses(rows):
        parts = unflatten(rows, layout)
        uses = [value_at(parts, field.leaf.path).double() * 2 + 1 for field in layout.fields]
        return parts, *uses

    compiled = compile_whole(leaves_and_uses, backend=backend)
    for count in counts:
        rows = rows_of(layout, count)
        assert_agree(compiled(rows), leaves_and_uses(rows))


@pytest.mark.long
@over_spaces
def test_unflatten_compiles_without_a_break(space, compile_whole):
    counts = (3, 5, 7)  # at the second batch size it is compiled again, for any
    assert_compiles(compile_whole, space, "aot_eager", counts)


@pytest.mark.parametrize(
    "space",
    [
        pytest.param(EVERY_DTYPE, id="dtypes", marks=pytest.mark.long),
        pytest.param(SPACES["like NetHack"], id="NetHack"),
    ],
)
@pytest.mark.skipif(
    shutil.which(os.environ.get("CXX", "g++")) is None, reason="inductor needs a C++ compiler"
)
@pytest.mark.filterwarnings("ignore:.torch.jit.script_method. is deprecated:DeprecationWarning")
def test_unflatten_compiles_with_inductor(space, compile_whole):
    with torch._inductor.config.patch(compile_threads=1):  # more would leave processes behind
        assert_compiles(compile_whole, space, "inductor", counts=(3,))


# The policy, its observation space and its action space.
POLICIES = {
    "discrete": (Default, SPACES["discrete int8"], None),
    "nested": (Default, SPACES["nested"], None),
    "image": (Default, SPACES["box 3-d bytes"], None),
    "every dtype": (Default, EVERY_DTYPE, None),
    "mixed actions": (Default, SPACES["tuple"], SPACES["tuple"]),
    "NetHack": (NetHackPolicy, SPACES["like NetHack"], None),
}


@pytest.mark.parametrize(("policy", "space", "actions"), POLICIES.values(), ids=POLICIES)
def test_policies_compile_without_a_break(policy, space, actions, compile_whole):
    torch.manual_seed(0)
    env = GymnasiumPufferEnv(Sampler(space, actions))
    policy = policy(env)
    compiled = compile_whole(policy, backend="aot_eager")
    for count in (1, 8):
        rows = rows_of(env.observation_layout, count)
        (heads, value), (expected_heads, expected_value) = compiled(rows), policy(rows)
        torch.testing.assert_close(value, expected_value)
        actions = sample_actions(expected_heads)[0]
        rated, expected = sample_actions(heads, actions), sample_actions(expected_heads, actions)
        torch.testing.assert_close(rated, expected)


@pytest.mark.parametrize("shape", [(3, 8), (8, 3)])
def test_layer_init_is_orthogonal(shape):
    torch.manual_seed(0)
    layer = torch.nn.Linear(shape[1], shape[0])
    assert layer_init(layer, std=2.0, bias=0.25) is layer
    weight = layer.weight.detach()
    smaller = weight @ weight.T if shape[0] < shape[1] else weight.T @ weight
    torch.testing.assert_close(smaller, 4.0 * torch.eye(3), atol=1e-5, rtol=0)
    assert layer.bias.tolist() == [0.25] * shape[0]


class Clipping(torch.nn.Module):
    rescale_actions = False


INF, NORMAL = np.inf, Normal(torch.zeros(5, 1), 1.0)
# A space, sampled actions, and the rows they become: rescaled, and only clipped.
SAMPLED = {
    "at [-1, 1]": (Box(-1, 1, (3,)), [-0.25, 2, -3], [-0.25, 1, -1], [-0.25, 1, -1]),
    "Pendulum": (Box(-2, 2, (3,)), [-0.25, 2, 0.5], [-0.5, 2, 1], [-0.25, 2, 0.5]),
    "far": (Box(1000, 1001, (3,)), [0, 0.5, -9], [1000.5, 1000.75, 1000], [1000] * 3),
    "unbounded": (Box(-INF, INF, (2,)), [5, -7], [5, -7], [5, -7]),
    "half bounded": (Box(np.float32([0, -INF]), np.float32([INF, 9])), [-5, 5], [0, 5], [0, 5]),
    "limits of the dtype": (
        Box(np.finfo(np.float32).min, np.finfo(np.float32).max, (2,)),
        [5, -7],
        [5, -7],
        [5, -7],
    ),
    "mixed bounds": (Box(np.float32([-INF, 0]), np.float32([INF, 8])), [5, 0.5], [5, 6], [5, 0.5]),
    "integers": (
        Box(0, 10, (5,), np.int64),
        [-2, -1, 0.05, 0.7, 9],
        [0, 0, 5, 8, 10],
        [0, 0, 0, 0, 9],
    ),
    "integers without a bound": (
        Box(0, 2**62, (3,), np.int64),
        [-2, 1, 9],
        [0, 1, 9],
        [0, 1, 9],
    ),
    "integers of a dtype": (Box(-(2**31), 2**31 - 1, (2,), np.int32), [-2, 1], [-2, 1], [-2, 1]),
    "large integers": (
        Box(2**40, 2**40 + 4, (2,), np.int64),
        [-1, 1],
        [2**40, 2**40 + 4],
        [2**40] * 2,
    ),
    "bytes": (Box(0, 255, (3,), np.uint8), [-1, 1, 0.5], [0, 255, 191], [0, 1, 0]),
    "bools": (Box(0, 1, (4,), np.bool_), [-1, -0.1, 0.1, 3], [0, 0, 1, 1], [0, 0, 1, 1]),
    "one float64": (Box(1e6, 1e6 + 1, (1,), np.float64), [0.5], [1e6 + 0.75], [1e6]),
    "with a choice": (
        Tuple((Discrete(5), Box(1000, 1001, (2,)), MultiDiscrete([3, 9]))),
        [4, 0.5, -9, 2, 8],
        [4, 1000.75, 1000, 2, 8],
        [4, 1000, 1000, 2, 8],
    ),
    "integers with a choice": (
        Tuple((Discrete(5), Box(0, 10, (1,), np.int8), Box(-INF, INF, (1,)))),
        [3, 0.7, 5.5],
        [3, 8, 5.5],
        [3, 0.7, 5.5],
    ),
}


@pytest.mark.parametrize(("space", "sampled", "rescaled", "clipped"), SAMPLED.values(), ids=SAMPLED)
def test_samples_become_actions_within_the_bounds(space, sampled, rescaled, clipped):
    env = GymnasiumPufferEnv(Sampler(Box(0, 1, (1,)), space))
    for policy, expected in ((torch.nn.Identity(), rescaled), (Clipping(), clipped)):
        for whole in (policy, torch.nn.Sequential(policy)):
            rows = action_converter(env, whole)(torch.tensor([sampled, sampled]).float(), NORMAL)
            assert rows.dtype == env.action_space.dtype
            np.testing.assert_array_equal(rows, np.array([expected] * 2, rows.dtype))


@pytest.mark.parametrize("space", [case[0] for case in SAMPLED.values()], ids=SAMPLED)
def test_every_sample_becomes_an_action_of_the_environment(space):
    env = GymnasiumPufferEnv(Sampler(Box(0, 1, (1,)), space))
    choices = env.action_space.sample()
    noise = np.random.default_rng(0).normal(0, 3, (1000, *env.action_space.shape))
    fields = env.action_layout.fields
    kept = [c for f in fields if not f.leaf.is_continuous for c in range(f.start, f.stop)]
    noise[:, kept] = choices[kept]
    for row in action_converter(env, torch.nn.Identity())(torch.tensor(noise), NORMAL):
        assert env.action_space.contains(row)
        assert space.contains(env.action_layout.rebuilder()(row))


def test_actions_of_a_native_environment_of_any_shape_are_rescaled():
    description = EnvDescription(Box(0, 1, (1,)), Box(2, 4, (2, 2)), Layout.of(Box(0, 1, (1,))))
    rows = action_converter(description, torch.nn.Identity())(torch.zeros(3, 4), NORMAL)
    assert rows.tolist() == np.full((3, 2, 2), 3).tolist()


@pytest.mark.parametrize("space", [Discrete(3), MultiDiscrete([3, 2])])
def test_choices_are_unchanged(space):
    description = EnvDescription(Box(0, 1, (1,)), space, Layout.of(Box(0, 1, (1,))))
    choices = torch.tensor(np.stack([space.sample(), space.sample()]))
    rows = action_converter(description, torch.nn.Identity())(choices, NORMAL)
    assert rows.tolist() == choices.tolist()
