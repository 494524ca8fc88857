"""The vectorizers of 0.x: rows of today's, four results, and three numbers of which two suffice."""

import numpy as np
import pytest
from environments import Countdown, Sampler
from gymnasium.spaces import Box, Dict, Discrete, Tuple

from pufferlib import vector, vectorization
from pufferlib.exceptions import ArgumentError
from pufferlib.wrappers import EpisodeStats


def make(how="terminated"):
    return EpisodeStats(Countdown(length=2, how=how))


@pytest.mark.parametrize("how", ["terminated", "truncated"])
def test_rows_are_those_of_todays_vectorizer_and_both_ends_are_dones(how):
    old = vectorization.Serial(make, env_kwargs={"how": how}, num_envs=3)
    new = vector.make(make, env_kwargs={"how": how}, num_envs=3)
    np.testing.assert_array_equal(old.reset(seed=1), new.reset(seed=1)[0])
    for step in range(4):
        actions = np.zeros(3, np.int64)
        observations, rewards, dones, infos = old.step(actions)
        expected = new.step(actions)
        np.testing.assert_array_equal(observations, expected[0])
        np.testing.assert_array_equal(rewards, expected[1])
        assert dones.tolist() == [step % 2 == 1] * 3
        if dones.any():  # as RecordEpisodeStatistics reported it
            assert infos[0]["episode"] == {"r": 1.0 + 2.0, "l": 2}
    assert old.num_agents == 3


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"num_envs": 4, "num_workers": 2}, (4, 2)),
        ({"num_workers": 2, "envs_per_worker": 3}, (6, 2)),
        ({"num_envs": 6, "envs_per_worker": 2}, (6, 3)),
        ({"num_envs": 3}, (3, 3)),
        ({"num_workers": 3}, (3, 3)),
        ({"envs_per_worker": 3}, (3, 1)),
        ({}, (1, 1)),
        ({"num_envs": 4, "num_workers": 2, "envs_per_worker": 2}, (4, 2)),
    ],
)
def test_numbers_that_are_left_out_follow_from_the_others(given, expected, monkeypatch):
    made = {}

    def note(creator, args, kwargs, backend, num_envs, num_workers):
        made.update(num_envs=num_envs, num_workers=num_workers)

    monkeypatch.setattr(vector, "make", note)
    vectorization.Multiprocessing(make, **given)
    assert (made["num_envs"], made["num_workers"]) == expected


def test_numbers_that_contradict_each_other_are_refused():
    with pytest.raises(ArgumentError, match=r"num_envs=4, num_workers=2, envs_per_worker=3"):
        vectorization.Serial(make, num_envs=4, num_workers=2, envs_per_worker=3)


def test_the_asynchronous_calls_of_gymnasium_give_four_results_too():
    envs = vectorization.Serial(make, num_envs=2)
    envs.reset(seed=0)
    envs.step_async([0, 0])
    observations, rewards, dones, infos = envs.step_wait()
    assert (observations.shape, rewards.tolist(), dones.tolist()) == ((2, 2), [1, 1], [False] * 2)
    assert infos == []


def test_observations_are_unpacked_as_arrays():
    space = Dict(image=Box(0, 255, (2, 2), np.uint8), pair=Tuple((Discrete(3), Box(-1, 1, (2,)))))
    envs = vectorization.Serial(Sampler, [space], num_envs=2)
    parts = envs.unpack_batched_obs(envs.reset(seed=5))
    for row in range(2):
        bare = Sampler(space).reset(seed=5 + row)[0]
        np.testing.assert_array_equal(parts["image"][row], bare["image"])
        for part, value in zip(parts["pair"], bare["pair"], strict=True):
            assert isinstance(part, np.ndarray)
            np.testing.assert_array_equal(part[row], value)


def test_only_todays_vectorizer_becomes_one_of_gymnasium():
    envs = vectorization.Serial(make)
    with pytest.raises(ArgumentError, match=r"vectorization.Serial. Pass the result of pufferlib"):
        vector.to_gymnasium(envs)
