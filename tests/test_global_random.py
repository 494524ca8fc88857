"""Environments that draw from the generators of their process: seeded, and none left changed."""

import random

import numpy as np
import pytest
import torch
from environments import Careless
from gymnasium.wrappers import TimeLimit

from pufferlib import vector
from pufferlib.global_random import GlobalStreams, seed_globals
from pufferlib.models import Default
from pufferlib.ppo import PPOConfig
from pufferlib.training import Trainer, evaluate

STEPS = 5
KINDS = {
    "fork": {"backend": "Multiprocessing", "start_method": "fork"},
    "spawn": {"backend": "Multiprocessing", "start_method": "spawn"},
    "forkserver": {"backend": "Multiprocessing", "start_method": "forkserver"},
}


def draws_of(vecenv, seed):
    """Return what each row drew: (steps, rows, 3)."""
    found = [vecenv.reset(seed)[0].copy()]
    for _ in range(STEPS):
        found.append(vecenv.step(np.zeros(vecenv.num_envs, int))[0].copy())
    return np.stack(found)


def assert_all_differ(draws):
    assert len(np.unique(draws)) == draws.size


@pytest.mark.parametrize("kind", KINDS)
def test_workers_draw_different_numbers_and_the_same_for_a_seed(kind):
    states = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()
    vecenv = vector.make(Careless, num_envs=4, num_workers=2, **KINDS[kind])
    try:
        unseeded, first, other, again = (draws_of(vecenv, seed) for seed in (None, 1, 9, 1))
    finally:
        vecenv.close()
    assert_all_differ(np.stack([unseeded, first, other]))
    assert np.array_equal(first, again)
    assert random.getstate() == states[0]
    assert np.array_equal(np.random.get_state()[1], states[1])
    assert torch.equal(torch.get_rng_state(), states[2])


def first_observations(seed):
    """Return the observations of the first rollout of a trainer in this process."""
    vecenv = vector.make(Careless, num_envs=2)
    config = PPOConfig(horizon=8, minibatches=1, seed=seed, device="cpu")
    return Trainer(config, vecenv, Default(vecenv, hidden_size=8)).collect().observations.clone()


def test_training_in_this_process_is_reproducible_and_leaves_the_generators_alone():
    first = first_observations(1)
    random.seed(3)
    np.random.seed(3)
    expected = random.random(), np.random.random()
    random.seed(3)
    np.random.seed(3)
    assert torch.equal(first_observations(1), first)
    assert not torch.equal(first_observations(2), first)
    assert (random.random(), np.random.random()) == expected


def test_evaluation_in_this_process_is_reproducible():
    results = [
        evaluate(vector.make(TimeLimit, [Careless(), 5], num_envs=1), None, seed).returns
        for seed in (1, 1, 2)
    ]
    assert results[0] == results[1] != results[2]


def test_streams_depend_on_their_seed_alone_and_affect_no_others():
    random.seed(5)
    np.random.seed(5)
    inside = [(random.random(), np.random.random()) for _ in range(4)]
    random.seed(9)
    np.random.seed(9)
    outside = [(random.random(), np.random.random()) for _ in range(4)]

    streams, found_inside, found_outside = GlobalStreams(5), [], []
    random.seed(9)
    np.random.seed(9)
    for _ in range(2):
        with streams.active():
            found_inside += [(random.random(), np.random.random()) for _ in range(2)]
        found_outside += [(random.random(), np.random.random()) for _ in range(2)]
    assert (found_inside, found_outside) == (inside, outside)


def test_a_large_seed_is_one_that_every_generator_takes():
    seed_globals(2**63 - 1)
    first = random.random(), np.random.random(), torch.rand(1)
    seed_globals(2**63 - 1)
    assert (random.random(), np.random.random(), torch.rand(1)) == first
