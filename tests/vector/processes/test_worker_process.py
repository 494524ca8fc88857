"""Environments may start processes, vectorizers may lie in processes, and none is left behind."""

import multiprocessing

import pytest
from vector_environments import Echo, Nested, Parent, hang, raise_plain
from vector_processes import children, living_after

from pufferlib import vector
from pufferlib.exceptions import WorkerError
from pufferlib.vector import Multiprocessing

START_METHODS = ["fork", "forkserver", "spawn"]
HOW = ["process", "daemon", "executor", "program", "fork", "orphan"]


def opened(creator, *args, **options):
    given = {"backend": Multiprocessing, "num_envs": 2, "num_workers": 2, **options}
    return vector.make(creator, args, **given)


@pytest.mark.parametrize("start_method", START_METHODS)
@pytest.mark.parametrize("how", HOW)
def test_processes_of_an_environment_end_with_its_worker(how, start_method):
    envs = opened(Parent, how, start_method=start_method)
    envs.reset(seed=0)
    assert envs.step([1, 2])[1].tolist() == [1, 2]
    started = set(envs.call("child_pid"))
    assert len(started) == 2
    envs.close()
    assert living_after(started, deadline_s=60) == set()


@pytest.mark.parametrize(("fault", "timeout_s"), [(raise_plain, None), (hang, 3)])
@pytest.mark.parametrize("on_failure", ["raise", "restart"])
def test_processes_of_an_environment_end_when_it_fails(fault, timeout_s, on_failure):
    envs = opened(Parent, "process", "step", fault, timeout_s=timeout_s, on_failure=on_failure)
    envs.reset(seed=0)
    started = set(envs.call("child_pid"))
    for _ in range(2):
        envs.step([0, 0])
    if on_failure == "raise":
        with pytest.raises(WorkerError, match=r"negative energy|has not finished step\(\)"):
            envs.step([0, 0])
    else:
        assert envs.step([0, 0])[3].tolist() == [True, True]
        assert envs.lost.all()
    assert living_after(started, deadline_s=60) == set()
    envs.close()


@pytest.mark.parametrize("closes", [True, False], ids=["closed", "forgotten"])
@pytest.mark.parametrize("start_method", ["fork", "spawn"])
def test_an_environment_may_contain_a_vectorizer(start_method, closes):
    envs = opened(Nested, start_method, closes, start_method=start_method)
    envs.reset(seed=0)
    assert envs.step([3, 4])[1].tolist() == [6, 8]
    started = {pid for pids in envs.call("pids") for pid in pids}
    assert len(started) == 4
    envs.close()
    assert living_after(started, deadline_s=60) == set()


def play(start_method):
    """Return the rewards of a step, as a task of a pool."""
    envs = opened(Echo, start_method=start_method)
    try:
        envs.reset(seed=0)
        return envs.step([5, 6])[1].tolist()
    finally:
        envs.close()


def leave_open(queue):
    """Open a vectorizer, and wait to be terminated."""
    envs = opened(Echo)
    envs.reset(seed=0)
    queue.put(envs.call("pid"))
    hang()


@pytest.mark.parametrize("start_method", ["fork", "spawn"])
def test_a_worker_of_a_pool_may_vectorize(start_method):
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(play, [start_method] * 2) == [[5, 6]] * 2


def test_workers_end_with_the_daemonic_process_that_started_them():
    fork = multiprocessing.get_context("fork")
    queue = fork.SimpleQueue()
    process = fork.Process(target=leave_open, args=[queue], daemon=True)
    process.start()
    started = set(queue.get())
    process.terminate()
    process.join()
    assert living_after(started, deadline_s=60) == set()
    queue.close()


def test_a_daemonic_process_stays_daemonic():
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.apply(play, ["fork"]) == [5, 6]
        assert pool.apply(is_daemonic)
    assert children() == set()


def is_daemonic():
    return multiprocessing.current_process().daemon
