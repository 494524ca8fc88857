"""`Serial` as a pool: the environments take turns, and each does what it would do without one."""

import contextlib

import gymnasium
import numpy as np
import pytest
from environments import Population
from vector_environments import Asked, Echo, Flock, raise_plain

from pufferlib import vector
from pufferlib.exceptions import ArgumentError, CallOrderError, WorkerError
from pufferlib.testing import check_vector
from pufferlib.vector import Multiprocessing, Serial, to_gymnasium


def pool(env_creators=Echo, env_args=None, num_envs=6, batch_size=2, backend=Serial, **options):
    envs = vector.make(
        env_creators, env_args, None, backend, num_envs, batch_size=batch_size, **options
    )
    return contextlib.closing(envs)


def turns(envs, batches):
    """Return the rows of so many batches."""
    envs.async_reset(seed=0)
    seen = []
    for _ in range(batches):
        seen.append(envs.recv().env_ids.tolist())
        envs.send(np.zeros(envs.agents_per_batch, np.int64))
    return seen


@pytest.mark.parametrize("zero_copy", [True, False])
def test_neighbors_take_turns(zero_copy):
    with pool(zero_copy=zero_copy) as envs:
        assert (envs.batch_size, envs.agents_per_batch, envs.num_workers) == (2, 2, 1)
        assert envs.zero_copy == zero_copy
        assert envs.action_space.shape == envs.observation_space.shape[:1] == (2,)
        assert turns(envs, 7) == [[0, 1], [2, 3], [4, 5]] * 2 + [[0, 1]]
        assert turns(envs, 2) == [[0, 1], [2, 3]]


def test_batches_that_do_not_divide_the_environments_are_of_those_that_waited_longest():
    with pool(num_envs=3, zero_copy=False) as envs:
        assert turns(envs, 4) == [[0, 1], [0, 2], [1, 2], [0, 1]]


@pytest.mark.parametrize("zero_copy", [True, False])
@pytest.mark.parametrize(("creator", "num_envs"), [(Population, 4), (Population, 6)])
def test_the_contract_is_kept(creator, num_envs, zero_copy):
    with pool(creator, num_envs=num_envs, zero_copy=zero_copy) as envs:
        check_vector(envs, steps=30, is_copied=not zero_copy)
    with pool(creator, num_envs=5, batch_size=3, zero_copy=False) as envs:
        check_vector(envs, steps=30, is_copied=True)


def streams(envs, steps):
    """Return what each row received in its first `steps` batches; its actions depend on it."""
    envs.async_reset(seed=3)
    seen = [[] for _ in range(envs.num_agents)]
    while min(map(len, seen)) < steps:
        batch = envs.recv()
        actions = []
        for place, row in enumerate(batch.env_ids.tolist()):
            ended = batch.terminals[place] or batch.truncations[place]
            final = batch.final_observations[place].tolist() if ended else None
            arrays = batch.observations, batch.rewards, batch.masks
            seen[row].append([*(array[place].tolist() for array in arrays), bool(ended), final])
            actions.append((7 * row + len(seen[row])) % 2)
        env_of_row = np.repeat(np.arange(envs.num_envs), envs.agents_per_env)
        for index, info in zip(batch.infos.env_indices, batch.infos, strict=True):
            seen[int(np.searchsorted(env_of_row, index))][-1].append(info)
        envs.send(np.array(actions))
    return [own[:steps] for own in seen]


def cartpole():
    return gymnasium.make("CartPole-v1", max_episode_steps=12)


@pytest.mark.parametrize("creator", [cartpole, Flock])
@pytest.mark.parametrize("sizes", [{}, {"zero_copy": False}, {"batch_size": 4, "zero_copy": False}])
def test_each_environment_does_what_it_does_in_every_other_vectorizer(creator, sizes):
    with pool(creator, num_workers=3, **sizes) as envs:
        in_turns = streams(envs, 40)
    with pool(creator, batch_size=None) as envs:
        assert in_turns == streams(envs, 40)
    with pool(creator, backend=Multiprocessing, num_workers=3, **sizes) as envs:
        assert in_turns == streams(envs, 40)


def test_a_step_is_of_a_batch():
    with pool(env_args=[0, 3]) as envs:
        observations, _ = envs.reset(seed=0)
        assert observations.shape == (2, 4)
        for actions in ([1, 2], [3, 4], [5, 6]):
            envs.step(actions)
        observations, rewards, *_ = envs.step([7, 8])
        # Of the second batch again, whose actions were 3 and 4 before.
        assert rewards.tolist() == [3, 4]
        assert observations[:, 3].tolist() == [3, 4]
        envs.step_async([9, 9])
        assert envs.step_wait()[1].tolist() == [5, 6]


def test_seeds_and_options_reach_every_environment():
    with pool(Asked) as envs:
        envs.reset(seed=[6, 5, 4, 3, 2, 1], options={"level": 3})
        asked = [env.user_env.env.asked for env in envs._block.envs]
        assert asked == [[(seed, {"level": 3})] for seed in (6, 5, 4, 3, 2, 1)]


def test_a_failure_names_the_environment_its_seed_and_its_step():
    class Faulty(Echo):
        def step(self, action):
            if action == 9:
                raise_plain()
            return super().step(action)

    with pool(Faulty) as envs:
        envs.reset(seed=40)
        for actions in ([1, 1], [1, 1], [1, 1], [1, 1]):
            envs.step(actions)
        match = r"Environment 3 failed in step\(\) \(seed 43, step 2\): ValueError"
        with pytest.raises(WorkerError, match=match):
            envs.step([1, 9])
        with pytest.raises(CallOrderError, match="after close"):
            envs.reset()


def test_calls_that_reach_all_environments_are_refused_as_in_every_pool():
    with pool() as envs:
        envs.reset(seed=0)
        for ask in (envs.get_attr, envs.has_attr, envs.call):
            with pytest.raises(ArgumentError, match=r"in a pool \(batch_size=2 of num_envs=6\)"):
                ask("tag")
        with pytest.raises(ArgumentError, match="pool with batch_size=2"):
            to_gymnasium(envs)
        envs.step([1, 2])


class Wide(Flock):
    possible_agents = ("a", "b", "c", "d")


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"batch_size": 4}, "zero_copy needs batches that split the workers evenly"),
        ({"batch_size": 7}, "batch_size must be at most num_envs"),
        ({"batch_size": 2, "num_workers": 2}, "a multiple of the environments of one worker"),
        ({"batch_size": 2, "num_workers": 4}, "num_envs must be a multiple of num_workers"),
        ({"batch_size": 0}, "batch_size must be a whole number"),
    ],
)
def test_what_multiprocessing_refuses_is_refused(options, match):
    options = {"num_workers": 6, **options}
    for backend in (Serial, Multiprocessing):
        with pytest.raises(ArgumentError, match=match):
            vector.make(Echo, backend=backend, num_envs=6, **options)


def test_environments_with_other_numbers_of_agents_are_refused_and_closed():
    with pytest.raises(ArgumentError, match=r"equally many agents; got \[6, 7, 6\] in each 2"):
        vector.make([Flock, Flock, Flock, Wide, Flock, Flock], num_envs=6, batch_size=2)
    with pool([Flock, Wide] * 3, batch_size=2) as envs:  # seven in each batch
        check_vector(envs, steps=10)


def test_an_automatic_size_is_no_pool():
    with pool(batch_size="auto") as envs:
        assert envs.batch_size == 6


def test_environments_of_the_last_batch_are_reset_by_a_mask():
    with pool(Echo, [7, 2], num_envs=4, autoreset="disabled") as envs:
        envs.async_reset(seed=0)
        for _ in range(2):  # episodes of two steps
            for first in (0, 2):
                batch = envs.recv()
                assert batch.env_ids.tolist() == [first, first + 1]
                envs.send([1, 1])
        batch = envs.recv()
        assert batch.observations[:, 2].tolist() == [2, 2]
        with pytest.raises(CallOrderError, match="are over: 0, 1"):
            envs.send([1, 1])
        with pytest.raises(ArgumentError, match="last batch only"):
            envs.async_reset(options={"reset_mask": np.array([True, True, True, False])})
        envs.async_reset(options={"reset_mask": np.array([True, True, False, False])})
        assert envs.recv().env_ids.tolist() == [2, 3]
        envs.async_reset(options={"reset_mask": np.array([False, False, True, True])})
        batch = envs.recv()
        assert batch.env_ids.tolist() == [0, 1]
        assert batch.observations[:, 1:3].tolist() == [[1, 0], [1, 0]]  # a new episode
        envs.send([1, 1])


def test_a_failure_names_the_seed_of_a_masked_reset():
    with pool(Asked, num_envs=4, autoreset="disabled") as envs:
        envs.async_reset(seed=10)
        envs.recv()
        mask = np.array([True, False, False, False])
        envs.async_reset(seed=[777] * 4, options={"reset_mask": mask})
        envs.recv()
        envs.send([0, 0])
        envs.recv()
        with pytest.raises(
            WorkerError, match=r"Environment 0 failed in step\(\) \(seed 777, step 1\)"
        ):
            envs.send([2, 0])
