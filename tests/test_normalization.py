"""Float observations are normalized, in rows of any layout."""

import gymnasium
import numpy as np
import pytest
import torch
from environments import Sampler
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, Tuple

from pufferlib import vector
from pufferlib.emulation import GymnasiumPufferEnv
from pufferlib.exceptions import ArgumentError
from pufferlib.models import Default, LSTMWrapper, NormalizedObservations
from pufferlib.policies.masked import MaskedDefault
from pufferlib.ppo import TrainConfig, Trainer
from pufferlib.pytorch import unflatten


def test_observations_are_normalized_by_previous_ones():
    env = vector.make(gymnasium.make, ["Pendulum-v1"], num_envs=2)
    inner = Default(env)
    policy = NormalizedObservations(env, inner)
    seen = np.random.default_rng(0).normal([5, -3, 0], [2, 0.1, 7], size=(40, 6, 3))
    valid = np.random.default_rng(1).random((40, 6)) < 0.7
    tensor = torch.tensor(seen, dtype=torch.float32)
    torch.testing.assert_close(policy(tensor[0])[1], inner(tensor[0])[1])  # nothing seen yet
    for part in (slice(0, 10), slice(10, 40)):
        policy.observe(tensor[part], torch.tensor(valid[part]))
    kept = seen[valid]
    np.testing.assert_allclose(policy.mean, kept.mean(0), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(policy.variance, kept.var(0), rtol=1e-3)
    expected = ((seen[3] - kept.mean(0)) / kept.std(0)).clip(-10, 10)
    np.testing.assert_allclose(policy.normalize(tensor[3]), expected, atol=2e-3)
    far = torch.full((1, 3), 1e6)
    assert policy.normalize(far).tolist() == [[10, 10, 10]]
    again = NormalizedObservations(env, Default(env))
    again.load_state_dict(policy.state_dict())  # a checkpoint keeps them
    torch.testing.assert_close(again(tensor[3])[1], policy(tensor[3])[1])
    recurrent = LSTMWrapper(env, policy)
    before = policy.count.item()
    recurrent.observe(tensor[:1], torch.ones(1, 6, dtype=torch.bool))
    assert policy.count.item() == before + 6
    env.close()


def test_normalizing_other_than_float_observations_is_refused():
    env = vector.make(gymnasium.make, ["Blackjack-v1"])
    with pytest.raises(ArgumentError, match="Only float observations can be normalized; got int64"):
        NormalizedObservations(env, Default(env))
    env.close()


FREE = {"low": -np.inf, "high": np.inf}
MIXED = Dict(
    image=Box(0, 255, (5,), np.uint8),
    inner=Tuple((Box(**FREE, shape=(2, 2), dtype=np.float64), Discrete(4))),
    left=MultiBinary(3),
    speed=Box(**FREE, shape=(3,), dtype=np.float32),
    half=Box(**FREE, shape=(1,), dtype=np.float16),
)


def rows_of(layout, values):
    return torch.as_tensor(np.stack([layout.flatten(value) for value in values]))


def values_of(count, seed=0):
    random = np.random.default_rng(seed)
    return [
        {
            "image": random.integers(0, 256, 5).astype(np.uint8),
            "inner": (random.normal(30, 5, (2, 2)), random.integers(4)),
            "left": random.integers(0, 2, 3).astype(np.int8),
            "speed": random.normal([-4, 0, 7], [0.1, 3, 9]).astype(np.float32),
            "half": random.normal(2, 1, 1).astype(np.float16),
        }
        for _ in range(count)
    ]


def test_floats_among_other_parts_are_normalized_in_their_places():
    env = GymnasiumPufferEnv(Sampler(MIXED))
    layout, values = env.observation_layout, values_of(200)
    policy = NormalizedObservations(env, Default(env))
    rows = rows_of(layout, values).reshape(20, 10, -1)
    assert rows.dtype == torch.uint8
    valid = torch.tensor(np.random.default_rng(1).random((20, 10)) < 0.7)
    for part in (slice(0, 5), slice(5, 20)):
        policy.observe(rows[part], valid[part])
    seen = [value for value, is_kept in zip(values, valid.ravel().tolist(), strict=True) if is_kept]
    before = rows.clone()
    normalized = policy.normalize(rows)
    assert torch.equal(rows, before)
    assert (normalized.shape, normalized.dtype) == (rows.shape, torch.uint8)
    found, given = unflatten(normalized, layout), unflatten(rows, layout)
    for get, tolerance in (
        (lambda parts: parts["inner"][0], 2e-2),
        (lambda parts: parts["speed"], 1e-2),
        (lambda parts: parts["half"], 1e-2),
    ):
        of_seen = np.stack([np.asarray(get(value), np.float64) for value in seen])
        expected = (get(given).double().numpy() - of_seen.mean(0)) / of_seen.std(0)
        assert get(found).dtype == get(given).dtype
        np.testing.assert_allclose(get(found), expected.clip(-10, 10), atol=tolerance)
    for get in (lambda p: p["image"], lambda p: p["inner"][1], lambda p: p["left"]):
        assert torch.equal(get(found), get(given))


def test_a_policy_sees_the_normalized_parts():
    env = GymnasiumPufferEnv(Sampler(MIXED))
    rows = rows_of(env.observation_layout, values_of(50))
    inner = Default(env)
    policy = NormalizedObservations(env, inner)
    policy.observe(rows[None], torch.ones(1, 50, dtype=torch.bool))
    torch.testing.assert_close(policy(rows)[1], inner(policy.normalize(rows))[1])
    assert not torch.equal(policy(rows)[1], inner(rows)[1])
    as_floats = torch.Tensor(rows.numpy())  # as other libraries pass rows on
    assert torch.equal(policy.normalize(as_floats), policy.normalize(rows))
    again = NormalizedObservations(env, inner)
    again.load_state_dict(policy.state_dict())
    torch.testing.assert_close(again.normalize(rows), policy.normalize(rows))


def test_normalization_of_several_dtypes_compiles_without_a_break(compile_whole):
    env = GymnasiumPufferEnv(Sampler(MIXED))
    policy = NormalizedObservations(env, Default(env))
    compiled = compile_whole(policy, backend="aot_eager")
    for count in (1, 8):
        rows = rows_of(env.observation_layout, values_of(count))
        torch.testing.assert_close(compiled(rows)[1], policy(rows)[1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["one dtype", "bytes"])
def test_a_mask_of_actions_is_not_normalized(dtype):
    space = Dict(action_mask=Box(0, 1, (3,)), seen=Box(**FREE, shape=(2,), dtype=dtype))
    env = GymnasiumPufferEnv(Sampler(space, Discrete(3)))
    policy = NormalizedObservations(env, MaskedDefault(env))
    value = {"action_mask": np.float32([1, 0, 1]), "seen": np.array([5, 6], dtype)}
    rows = rows_of(env.observation_layout, [value] * 4)
    other = rows_of(env.observation_layout, [{**value, "action_mask": np.ones(3, np.float32)}] * 4)
    policy.observe(torch.stack([rows, other]), torch.ones(2, 4, dtype=torch.bool))
    probabilities = policy(rows)[0].softmax(1)
    assert probabilities[:, 1].tolist() == [0] * 4
    assert (probabilities[:, [0, 2]] > 0.1).all()


@pytest.mark.parametrize("is_recurrent", [False, True])
def test_rows_of_bytes_are_learned_from(is_recurrent):
    vecenv = vector.make(Sampler, [MIXED, Discrete(2)], num_envs=2)
    torch.manual_seed(0)
    policy = NormalizedObservations(vecenv, Default(vecenv, hidden_size=8))
    policy = LSTMWrapper(vecenv, policy) if is_recurrent else policy
    trainer = Trainer(TrainConfig(horizon=8, minibatches=2), vecenv, policy)
    trainer.step()
    inner = policy.policy if is_recurrent else policy
    assert inner.count.item() == pytest.approx(16, abs=1e-3)
    assert trainer.step()["updates"] == 2
    vecenv.close()
