"""Rows, batches and lost steps of any group of workers: here of one without processes."""

import numpy as np
import pytest
from local_workers import LocalWorkers
from vector_environments import Echo, Flock, Troubled

from pufferlib.exceptions import ArgumentError
from pufferlib.vector.parallel import Parallel
from pufferlib.vector.restart import RestartRule


def parallel(env_creators, env_args=None, num_workers=2, order=(), rule=None, **options):
    rule = rule or RestartRule()
    num_envs = len(env_creators)
    workers = LocalWorkers(env_creators, env_args, num_workers, rule, order)
    batch_size, zero_copy = options.get("batch_size", num_envs), options.get("zero_copy", True)
    return workers, Parallel(workers, num_envs, num_workers, batch_size, zero_copy, rule)


def tags(num_envs):
    return [[tag] for tag in range(num_envs)]


def test_rows_are_in_the_order_of_the_environments_whoever_finishes_first():
    workers, envs = parallel([Echo] * 4, tags(4), order=[1, 0])
    observations, infos = envs.reset(seed=0)
    assert observations.tolist() == [[tag, 0, 0, 0] for tag in range(4)]
    assert infos == []
    workers.order = [0, 1]
    assert envs.step([5, 6, 7, 8])[1].tolist() == [5, 6, 7, 8]


def test_actions_of_a_pool_reach_the_environments_that_were_received():
    workers, envs = parallel(
        [Echo] * 4, tags(4), 4, order=[3, 1, 0, 2], batch_size=2, zero_copy=False
    )
    envs.async_reset(seed=0)
    assert envs.recv().env_ids.tolist() == [1, 3]
    envs.send([10, 30])
    workers.order = [0, 2, 3, 1]
    assert envs.recv().env_ids.tolist() == [0, 2]
    envs.send([0, 20])
    workers.order = [3, 2, 1, 0]
    batch = envs.recv()
    assert batch.env_ids.tolist() == [2, 3]
    assert batch.rewards.tolist() == [20, 30]
    assert batch.observations[:, 3].tolist() == [20, 30]


def test_a_pool_needs_equally_many_agents_on_each_worker():
    class Wide(Flock):
        possible_agents = ("a", "b", "c", "d")

    with pytest.raises(ArgumentError, match=r"equally many agents.*\[3, 4\]"):
        parallel([Flock, Wide], batch_size=1)
    _, envs = parallel([Flock, Wide])
    assert (envs.num_agents, envs.agents_per_env, envs.agents_per_batch) == (7, [3, 4], 7)


def test_workers_are_closed_if_their_environments_differ():
    workers = LocalWorkers([Echo, Flock])
    with pytest.raises(ArgumentError, match="equal spaces"):
        Parallel(workers, 2, 2, 2, True, RestartRule())
    assert workers.is_closed


def test_lost_rows_are_cut_off_with_what_was_last_returned():
    rule = RestartRule("restart")
    _, envs = parallel([Troubled] * 2, tags(2), rule=rule)
    envs.reset(seed=0)
    envs.step([3, 4])
    envs.send([5, Troubled.RAISE])
    batch = envs.recv()
    assert batch.lost.tolist() == envs.lost.tolist() == [False, True]
    assert batch.observations.tolist() == [[0, 0, 2, 5], [0, 0, 0, 0]]
    assert batch.rewards.tolist() == [5, 0]
    assert batch.terminals.tolist() == [False, False]
    assert batch.truncations.tolist() == [False, True]
    assert batch.masks.tolist() == [True, False]
    assert batch.final_observations[1].tolist() == [1, 0, 1, 4]
    assert list(batch.infos) == [{"restarted": "as ordered", "worker": 1}]
    assert batch.infos.env_indices == [1]
    assert envs.num_restarts == 1
    envs.send([6, 7])
    batch = envs.recv()
    assert batch.lost.tolist() == [False, False]
    assert batch.observations.tolist() == [[0, 0, 3, 6], [1, 0, 0, 0]]
    assert batch.truncations.tolist() == [False, False]
    assert batch.masks.tolist() == [True, True]


def test_a_call_between_batches_leaves_lost_rows_as_they_are():
    rule = RestartRule("restart")
    _, envs = parallel([Troubled] * 2, tags(2), rule=rule)
    envs.reset(seed=0)
    envs.send([5, Troubled.RAISE])
    batch = envs.recv()
    before = [array.copy() for array in (*batch[:4], batch.masks, batch.lost)]
    assert envs.get_attr("tag") == [0, 1]
    after = (*batch[:4], batch.masks, batch.lost)
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)
    assert envs.step([6, 7])[0].tolist() == [[0, 0, 2, 6], [1, 0, 0, 0]]


def test_a_failure_closes_the_workers():
    workers, envs = parallel([Troubled] * 2, tags(2))
    envs.reset(seed=0)
    envs.send([5, Troubled.RAISE])
    with pytest.raises(Exception, match="as ordered"):
        envs.recv()
    assert workers.is_closed
