"""The shared rows: their layout in memory, and when it is freed."""

import itertools
import os
import resource
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete, MultiDiscrete
from vector_environments import Echo

from pufferlib import vector
from pufferlib.exceptions import ArgumentError
from pufferlib.vector.processes.backend import Multiprocessing
from pufferlib.vector.processes.shared_memory import RowMemory

SPACES = [
    (Box(0, 255, (3, 5), np.uint8), MultiDiscrete([3, 4])),
    (Box(-1, 1, (7,), np.float32), Box(-1, 1, (3,), np.float64)),
    (Box(-1, 1, (), np.float16), Discrete(2)),
]


@pytest.fixture(params=SPACES, ids=["bytes", "floats", "scalars"])
def memory(request):
    return RowMemory(*request.param, rows=3)


def mapped(memory):
    """Return all arrays over newly allocated memory."""
    fd = memory.allocate()
    try:
        buffers, actions, words = memory.map(fd)
    finally:
        os.close(fd)
    return [*buffers, actions, words]


def test_arrays_are_zero_and_aligned_to_cache_lines(memory):
    *arrays, words = mapped(memory)
    assert [len(array) for array in arrays] == [3] * 7
    assert words.shape == (2, 16)  # a line for the worker, one for the caller
    for array in (*arrays, words):
        assert array.ctypes.data % 64 == 0
        assert not array.any()


def test_arrays_are_disjoint(memory):
    for one, other in itertools.combinations(mapped(memory), 2):
        assert not np.shares_memory(one, other)


def test_two_mappings_show_each_other_what_is_written(memory):
    fd = memory.allocate()
    (buffers, *more), (twin_buffers, *twin_more) = memory.map(fd), memory.map(fd)
    os.close(fd)
    for position, (array, twin) in enumerate(
        zip((*buffers, *more), (*twin_buffers, *twin_more), strict=True)
    ):
        array[...] = position
        np.testing.assert_array_equal(twin, np.full(array.shape, position, array.dtype))


def test_memory_that_is_not_granted_is_an_error_that_says_how_much(memory):
    huge = RowMemory(Box(0, 255, (2**20,), np.uint8), Discrete(2), rows=4)  # twice 4 MiB
    allowed = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**22, allowed[1]))
    try:
        with pytest.raises(ArgumentError, match=r"8 MiB of shared memory.*does not grant"):
            huge.allocate()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, allowed)


def test_memory_is_given_back_with_the_last_array_over_it(memory):
    arrays = mapped(memory)
    address = arrays[0].ctypes.data

    def is_mapped():
        maps = Path("/proc/self/maps").read_text().splitlines()
        return any(line.startswith(f"{address:x}-") and "memfd:" in line for line in maps)

    assert is_mapped()
    del arrays[:-1]
    assert not arrays[0].any()
    assert is_mapped()
    arrays.clear()
    assert not is_mapped()


def test_arrays_can_be_read_after_close():
    envs = vector.make(Echo, backend=Multiprocessing, num_envs=4, num_workers=2)
    envs.reset(seed=0)
    observations, rewards, *_ = envs.step([5, 6, 7, 8])
    final_observations = envs.final_observations
    envs.close()
    del envs
    assert observations.tolist() == [[0, 0, 1, action] for action in (5, 6, 7, 8)]
    assert rewards.tolist() == [5, 6, 7, 8]
    assert not final_observations.any()


def test_all_arrays_of_a_batch_are_views_of_shared_memory():
    envs = vector.make(
        gymnasium.make, ["CartPole-v1"], backend=Multiprocessing, num_envs=2, num_workers=2
    )
    observations, _ = envs.reset(seed=0)
    before = observations.copy()
    envs.step(np.zeros(2, np.int64))
    assert not np.array_equal(observations, before)
    envs.close()
