"""Pools, start methods, and what is sent between processes."""

import contextlib

import numpy as np
import pytest
import torch
from vector_environments import Echo, Flock
from vector_processes import children, open_descriptors, wait_until_asleep

from pufferlib import vector
from pufferlib.exceptions import ArgumentError
from pufferlib.vector import Multiprocessing

# num_envs, num_workers, batch_size, zero_copy
POOLS = [
    (4, 4, 1, True),
    (4, 4, 1, False),
    (4, 4, 3, False),
    (8, 4, 4, True),
    (8, 4, 4, False),
    (8, 4, 6, False),
    (6, 3, 4, False),
    (6, 2, "auto", True),
    (4, 2, None, False),
]


def pool(env_creators, env_args, **kwargs):
    return contextlib.closing(
        vector.make(
            env_creators, env_args, backend=Multiprocessing, num_envs=len(env_creators), **kwargs
        )
    )


def ids(batch):
    return [int(env_id) for env_id in batch.env_ids]


class Bare:
    """An `Echo` of this process, reset where an episode ends: what a pool's row must show."""

    def __init__(self, tag, length):
        self.env = Echo(tag, length)
        self.row = (self.env.reset(seed=0)[0].tolist(), 0, False, False)
        self.final = None

    def step(self, action):
        observation, *rest, _ = self.env.step(action)
        if any(rest[1:]):
            self.final = observation.tolist()
            observation, _ = self.env.reset()
        self.row = (observation.tolist(), *rest)


@pytest.mark.parametrize(("num_envs", "num_workers", "batch_size", "zero_copy"), POOLS)
def test_rows_and_actions_of_a_pool_belong_to_their_environments(
    num_envs, num_workers, batch_size, zero_copy
):
    env_args = [[tag, 3 + tag] for tag in range(num_envs)]
    bare = [Bare(*args) for args in env_args]
    actions = np.random.default_rng(0).integers(1000, size=(300, num_envs))
    options = {"num_workers": num_workers, "batch_size": batch_size, "zero_copy": zero_copy}
    with pool([Echo] * num_envs, env_args, **options) as envs:
        envs.async_reset(seed=0)
        for choices in actions:
            batch = envs.recv()
            assert len(set(ids(batch))) == envs.batch_size
            shown = zip(batch.observations.tolist(), *map(list, batch[1:4]), strict=True)
            for position, (env_id, row) in enumerate(zip(ids(batch), shown, strict=True)):
                assert row == bare[env_id].row
                if any(row[2:]):
                    assert envs.final_observations[position].tolist() == bare[env_id].final
            assert batch.infos.env_indices == [
                env_id for env_id in ids(batch) if any(bare[env_id].row[2:])
            ]
            envs.send(choices[: envs.batch_size])
            for env_id, action in zip(ids(batch), choices, strict=False):
                bare[env_id].step(action)


def test_a_pool_of_multi_agent_environments_names_rows_not_environments():
    options = {"num_workers": 4, "batch_size": 2, "zero_copy": False}
    with pool([Flock] * 4, [[tag] for tag in range(4)], **options) as envs:
        assert (envs.num_agents, envs.agents_per_batch) == (12, 6)
        envs.async_reset(seed=0)
        for _ in range(50):
            batch = envs.recv()
            tags = [env_id // 3 for env_id in ids(batch)]
            assert ids(batch) == [3 * tag + agent for tag in tags[::3] for agent in range(3)]
            present = batch.observations[:, 0] > 0  # 10 * tag + 1, 2 or 3
            expected = 10 * (batch.env_ids // 3) + batch.env_ids % 3 + 1
            np.testing.assert_array_equal(batch.observations[present, 0], expected[present])
            envs.send(np.zeros(6, np.int64))


# num_workers, batch_size, zero_copy, which environments wait for environment 0
@pytest.mark.parametrize(
    ("num_workers", "batch_size", "zero_copy", "bound"),
    [
        (4, 1, True, {0}),
        (4, 1, False, {0}),
        (4, 2, True, {0, 1}),
        (4, 2, False, {0}),
        (4, 3, False, {0}),
        (2, 2, False, {0, 1}),
    ],
)
def test_a_slow_environment_holds_up_only_its_own_batch(
    num_workers, batch_size, zero_copy, bound, tmp_path
):
    gate = tmp_path / "gate"
    env_args = [[0, 9, gate], [1], [2], [3]]
    options = {"num_workers": num_workers, "batch_size": batch_size, "zero_copy": zero_copy}
    with pool([Echo] * 4, env_args, **options) as envs:
        envs.async_reset(seed=0)
        steps_of = dict.fromkeys(range(4), 0)

        def cycle():
            batch = envs.recv()
            for env_id, steps in zip(ids(batch), batch.observations[:, 2].tolist(), strict=True):
                steps_of[env_id] = steps
            envs.send(np.zeros(batch_size, np.int64))

        free = set(range(4)) - bound
        while min(steps_of[env_id] for env_id in free) < 50:
            cycle()
        assert {env_id for env_id in range(4) if steps_of[env_id] == 0} == bound
        gate.touch()
        while steps_of[0] < 1:
            cycle()


def test_a_worker_left_out_of_a_batch_is_in_the_next():
    options = {"num_workers": 4, "batch_size": 3, "zero_copy": False}
    with pool([Echo] * 4, None, **options) as envs:
        envs.async_reset(seed=0)
        wait_until_asleep(children())  # every worker is ready
        received = set(ids(envs.recv()))
        left_out = {0, 1, 2, 3} - received
        envs.send([1, 1, 1])
        wait_until_asleep(children())
        assert left_out < set(ids(envs.recv()))


def test_a_pool_can_be_reset_while_it_steps():
    with pool([Echo] * 4, [[tag] for tag in range(4)], num_workers=4, batch_size=1) as envs:
        for _ in range(3):
            envs.async_reset(seed=0)
            steps_of = {}
            for _ in range(20):
                batch = envs.recv()
                [env_id], [observation] = ids(batch), batch.observations.tolist()
                steps_of[env_id] = steps_of.get(env_id, -1) + 1
                assert observation == [env_id, 0, steps_of[env_id], 7 if steps_of[env_id] else 0]
                envs.send([7])


def test_a_pool_does_not_reach_into_environments_that_may_be_stepping():
    with pool([Echo] * 4, None, num_workers=4, batch_size=2) as envs:
        envs.reset(seed=0)
        with pytest.raises(ArgumentError, match=r"get_attr reaches all .*Use batch_size=None"):
            envs.get_attr("tag")


def test_a_pool_needs_workers_with_equally_many_agents():
    class Wide(Flock):
        possible_agents = ["a", "b", "c", "d"]  # noqa: RUF012

    with pytest.raises(ArgumentError, match=r"equally many agents.*\[3, 4\]. Use batch_size=None"):
        pool([Flock, Wide], None, num_workers=2, batch_size=1)


def test_workers_may_have_different_numbers_of_agents():
    class Wide(Flock):
        possible_agents = ["a", "b", "c", "d"]  # noqa: RUF012

    with pool([Flock, Wide], [[0], [1]], num_workers=2) as envs:
        observations, _ = envs.reset(seed=0)
        assert observations[:, 0].tolist() == [1, 2, 0, 11, 12, 0, 0]
        assert envs.step(np.arange(7))[1].tolist() == [0, 1, 0, 3, 4, 0, 0]


@pytest.mark.parametrize("start_method", ["fork", "forkserver", "spawn"])
def test_closures_and_lambdas_can_make_environments(start_method):
    offset = 40

    def creator(tag):
        return Echo(tag + offset)

    with pool([creator, lambda: Echo(50)], [[1], []], start_method=start_method) as envs:
        assert envs.get_attr("tag") == [41, 50]


@pytest.mark.parametrize("start_method", ["forkserver", "spawn"])
def test_a_worker_never_loads_torch(start_method):
    with pool([Echo], None, start_method=start_method) as envs:
        envs.reset(seed=0)
        envs.step([0])
        assert envs.call("has_loaded", "torch") == [False]


def test_each_worker_is_a_separate_process():
    with pool([Echo] * 6, None, num_workers=3) as envs:
        pids = envs.call("pid")
        assert pids[::2] == pids[1::2]
        assert len(set(pids)) == 3


@pytest.mark.usefixtures("_patient")
def test_workers_close_their_environments(tmp_path):
    graves = [tmp_path / name for name in "abcd"]
    with pool([Echo] * 4, [[0, 9, None, grave] for grave in graves], num_workers=2) as envs:
        envs.reset(seed=0)
    assert all(grave.exists() for grave in graves)


def test_large_infos_arrive_complete():
    class Talker(Echo):
        def step(self, action):
            *rest, _ = super().step(action)
            return *rest, {"picture": np.full(10**6, action, np.uint8)}

    with pool([Talker] * 2, None, num_workers=2) as envs:
        envs.reset(seed=0)
        *_, infos = envs.step([3, 4])
        assert infos.env_indices == [0, 1]
        assert [info["picture"].tolist() for info in infos] == [[3] * 10**6, [4] * 10**6]


def test_tensors_in_infos_are_copies_that_take_no_descriptors_and_no_shared_memory():
    class Thinker(Echo):
        def step(self, action):
            *rest, _ = super().step(action)
            return *rest, {"thought": torch.full((3,), int(action))}

    with pool([Thinker] * 2, None, num_workers=2) as envs:
        envs.reset(seed=0)
        before = open_descriptors()
        kept = [info for _ in range(5) for info in envs.step([3, 4])[4]]
        assert open_descriptors() == before
    assert [info["thought"].tolist() for info in kept] == [[3] * 3, [4] * 3] * 5
    assert not any(info["thought"].is_shared() for info in kept)


def test_two_vectorizers_live_side_by_side():
    with pool([Echo], [[1]]) as one:
        with pool([Echo], [[2]]) as other:
            assert one.get_attr("tag") + other.get_attr("tag") == [1, 2]
        assert one.get_attr("tag") == [1]


@pytest.mark.parametrize("num_workers", [1, 2, 4])
@pytest.mark.parametrize("zero_copy", [True, False])
def test_a_batch_is_a_view_with_zero_copy_and_stays_as_it_was_without(zero_copy, num_workers):
    options = {"num_workers": num_workers, "zero_copy": zero_copy}
    with pool([Echo] * 4, None, **options) as envs:
        envs.async_reset(seed=0)
        first, first_final = envs.recv(), envs.final_observations
        kept = [array.copy() for array in first[:4]]
        for action in (1, 2):  # the rows change
            envs.send([action] * 4)
            last, last_final = envs.recv(), envs.final_observations
            assert np.shares_memory(first_final, last_final) == zero_copy
            for one, two in zip(first[:4], last[:4], strict=True):
                assert np.shares_memory(one, two) == zero_copy
        is_kept = [np.array_equal(one, two) for one, two in zip(first[:4], kept, strict=True)]
        assert all(is_kept) != zero_copy


def test_rows_of_neighboring_workers_are_copied_too():
    options = {"num_workers": 4, "batch_size": 2, "zero_copy": False}
    with pool([Echo] * 4, [[tag] for tag in range(4)], **options) as envs:
        envs.async_reset(seed=0)
        for _ in range(40):
            batch = envs.recv()
            memory = envs._buffers.observations
            assert not np.shares_memory(batch.observations, memory), ids(batch)
            assert not np.shares_memory(batch.env_ids, envs._env_ids), ids(batch)
            envs.send([1, 1])
