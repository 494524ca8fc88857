"""A batch unpacks to seven values, and has nine attributes."""

import copy
import pickle

import numpy as np
import pytest
from vector_environments import Echo

from pufferlib import vector
from pufferlib.environment import Buffers
from pufferlib.vector import Batch, Infos
from pufferlib.vector.batch import batch_of

SEVEN = ("observations", "rewards", "terminals", "truncations", "infos", "env_ids", "masks")
NINE = (*SEVEN, "final_observations", "lost")


def values():
    """Return nine values, each of which is equal to no other."""
    infos = Infos()
    infos.extend_from(1, [{"score": 4}])
    return {name: np.full(2, number) for number, name in enumerate(NINE)} | {"infos": infos}


def test_it_unpacks_to_the_published_seven():
    given = values()
    batch = Batch(**given)
    assert len(batch) == 7
    assert batch._fields == SEVEN
    assert list(batch._asdict()) == list(SEVEN)
    for name, value in zip(SEVEN, batch, strict=True):
        assert value is given[name]
        assert getattr(batch, name) is given[name]
    assert [each is given[name] for each, name in zip(batch[:5], SEVEN, strict=False)] == [True] * 5


def test_final_observations_and_lost_are_attributes_only():
    given = values()
    batch = Batch(**given)
    assert batch.final_observations is given["final_observations"]
    assert batch.lost is given["lost"]


def test_the_quick_way_to_make_one_gives_the_same():
    arrays = [np.full(2, number) for number in range(6)]
    rows, infos, env_ids, lost = Buffers(*arrays), Infos(), np.arange(2), np.zeros(2, np.bool_)
    batch = batch_of(rows, infos, env_ids, lost)
    observations, rewards, terminals, truncations, masks, final_observations = arrays
    expected = (observations, rewards, terminals, truncations, infos, env_ids, masks)
    assert type(batch) is Batch
    assert all(one is other for one, other in zip(batch, expected, strict=True))
    assert batch.final_observations is final_observations
    assert batch.lost is lost


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda b: pickle.loads(pickle.dumps(b))]
)
def test_a_copy_keeps_all_nine(copied):
    batch = Batch(**values())
    twin = copied(batch)
    assert type(twin) is Batch
    for name in NINE:
        np.testing.assert_array_equal(getattr(twin, name), getattr(batch, name))


@pytest.mark.parametrize("name", ["rewards", "lost"])
def test_an_attribute_can_be_replaced(name):
    batch = Batch(**values())
    other = batch._replace(**{name: np.full(2, 99)})
    assert getattr(other, name).tolist() == [99, 99]
    for kept in set(NINE) - {name}:
        assert getattr(other, kept) is getattr(batch, kept)


def test_infos_say_which_environment_each_came_from():
    infos = Infos()
    infos.extend_from(3, [{"a": 1}, {"b": 2}])
    infos.extend_from(5, [])
    infos.extend_from(7, [{"c": 3}])
    assert list(infos) == [{"a": 1}, {"b": 2}, {"c": 3}]
    assert infos.env_indices == [3, 3, 7]


def test_recv_returns_what_the_vectorizer_has(make):
    envs = make([Echo] * 2, [[3, 2], [4, 9]], num_envs=2)
    envs.reset(seed=0)
    for actions in ([1, 2], [5, 6]):
        envs.send(actions)
        batch = envs.recv()
    assert batch.terminals.tolist() == [True, False]  # after two steps of environment 0
    assert batch.final_observations[0].tolist() == [3, 0, 2, 5]
    assert batch.lost.tolist() == [False, False]
    assert np.shares_memory(batch.final_observations, envs.final_observations)
    assert np.shares_memory(batch.lost, envs.lost)


@pytest.mark.parametrize("zero_copy", [True, False])
def test_the_batch_of_a_pool_has_the_rows_of_its_own_environments(zero_copy):
    options = {"num_workers": 4, "batch_size": 2, "zero_copy": zero_copy}
    envs = vector.make(
        [Echo] * 4, [[tag, 1] for tag in range(4)], None, "Multiprocessing", 4, **options
    )
    envs.async_reset(seed=0)
    for _ in range(6):
        batch = envs.recv()
        assert batch.lost.shape == (2,)
        ended = batch.terminals | batch.truncations
        assert batch.final_observations[ended, 0].tolist() == batch.env_ids[ended].tolist()
        envs.send([7, 8])
    envs.close()
