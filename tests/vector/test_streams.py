"""Same seed, same stream: on every backend, and on Gymnasium's own vector environment."""

import itertools

import gymnasium
import numpy as np
import pytest

from pufferlib import vector
from pufferlib.vector import Multiprocessing, Serial

SEED, STEPS, NUM_ENVS = 7, 1000, 4
ACTIONS = np.random.default_rng(0).integers(2, size=(STEPS, NUM_ENVS))

BACKENDS = {
    "serial": {"backend": Serial},
    **{
        f"{start_method} {num_workers}": {
            "backend": Multiprocessing,
            "num_workers": num_workers,
            "start_method": start_method,
        }
        for start_method, num_workers in [
            *[("fork", 1), ("fork", 2), ("fork", 4)],
            *[("forkserver", 2), ("spawn", 2)],
        ]
    },
}


def cartpoles(num_envs, **kwargs):
    return vector.make(gymnasium.make, ["CartPole-v1"], num_envs=num_envs, **kwargs)


def stacked(steps):
    """Return one array of all steps for each of the arrays of a step."""
    return [np.stack(arrays) for arrays in zip(*steps, strict=True)]


def play(envs, seed=SEED):
    """Return observations, rewards, terminals, truncations and last observations of all steps."""
    observations, _ = envs.reset(seed=seed)
    first, steps = observations.copy(), []
    for actions in ACTIONS:
        step = [array.copy() for array in envs.step(actions)[:4]]
        final_observations = envs.final_observations.copy()
        final_observations[~(step[2] | step[3])] = 0  # stale
        steps.append([*step, final_observations])
    envs.close()
    return [first, *stacked(steps)]


@pytest.fixture(scope="module")
def gymnasium_stream():
    """What `play` returns, from Gymnasium's SyncVectorEnv."""
    envs = gymnasium.vector.SyncVectorEnv(
        [lambda: gymnasium.make("CartPole-v1")] * NUM_ENVS,
        autoreset_mode=gymnasium.vector.AutoresetMode.SAME_STEP,
    )
    first, _ = envs.reset(seed=SEED)
    steps = []
    for actions in ACTIONS:
        observations, rewards, terminations, truncations, infos = envs.step(actions)
        final_observations = np.zeros_like(observations)
        for row in np.flatnonzero(terminations | truncations):
            final_observations[row] = infos["final_obs"][row]
        rewards = rewards.astype(np.float32)
        steps.append([observations, rewards, terminations, truncations, final_observations])
    envs.close()
    stream = [first, *stacked(steps)]
    assert stream[3].sum() >= NUM_ENVS  # episodes do end
    return stream


def is_same(stream, other):
    return all(
        one.dtype == two.dtype and one.tobytes() == two.tobytes()
        for one, two in zip(stream, other, strict=True)
    )


@pytest.mark.parametrize("backend", BACKENDS.values(), ids=BACKENDS.keys())
def test_a_stream_is_gymnasiums_byte_for_byte(backend, gymnasium_stream):
    assert is_same(play(cartpoles(NUM_ENVS, **backend)), gymnasium_stream)


def test_another_seed_gives_another_stream(make, gymnasium_stream):
    envs = make(gymnasium.make, ["CartPole-v1"], num_envs=NUM_ENVS)
    other = play(envs, seed=SEED + NUM_ENVS)
    assert not is_same(other[:1], gymnasium_stream[:1])


def test_the_same_seed_again_gives_the_same_stream_again(make):
    envs = make(gymnasium.make, ["CartPole-v1"], num_envs=2)
    streams = []
    for _ in range(2):
        observations, _ = envs.reset(seed=SEED)
        streams.append([observations.copy()])
        streams[-1] += [envs.step([0, 1])[0].copy() for _ in range(30)]  # several episodes
    assert is_same(*streams)


@pytest.mark.parametrize("pool", [{}, {"batch_size": 2}, {"batch_size": 4, "zero_copy": False}])
@pytest.mark.parametrize("seed", [0, 1234])
def test_environment_i_gets_the_seed_plus_i(seed, pool):
    envs = cartpoles(6, backend=Multiprocessing, num_workers=3, **pool)
    bare = gymnasium.make("CartPole-v1")
    envs.async_reset(seed)
    seen = {}
    while len(seen) < 6:
        batch = envs.recv()
        for env_id, observation in zip(batch.env_ids, batch.observations, strict=True):
            seen.setdefault(int(env_id), observation.copy())
        envs.send(np.zeros(len(batch.env_ids), np.int64))
    envs.close()
    for env_id, observation in seen.items():
        np.testing.assert_array_equal(observation, bare.reset(seed=seed + env_id)[0])


@pytest.mark.parametrize(("num_envs", "num_workers"), [(2, 1), (2, 2), (6, 3), (8, 4), (12, 12)])
def test_no_two_environments_begin_alike(num_envs, num_workers):
    envs = cartpoles(num_envs, backend=Multiprocessing, num_workers=num_workers)
    observations, _ = envs.reset(seed=SEED)
    for one, other in itertools.combinations(observations, 2):
        assert not np.array_equal(one, other)
    envs.close()
