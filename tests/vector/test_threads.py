"""A worker's numeric libraries run one thread each, whatever they are and whenever they load."""

import contextlib
import os

import pytest
import threadpoolctl
import torch
from vector_environments import Numeric

from pufferlib import vector
from pufferlib.cores import usable_cores, usable_threads
from pufferlib.vector import Multiprocessing

START_METHODS = ["fork", "forkserver", "spawn"]


@pytest.fixture(autouse=True)
def two_blas_threads():
    """Let this process multiply in two threads, as a forked worker then finds it."""
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        yield


def opened(**kwargs):
    options = {"backend": Multiprocessing, "num_envs": 2, "num_workers": 2, **kwargs}
    return contextlib.closing(vector.make(Numeric, **options))


@pytest.mark.parametrize("start_method", START_METHODS)
def test_blas_and_openmp_run_one_thread(start_method):
    with opened(start_method=start_method) as envs:
        for libraries in envs.call("threads_of_libraries"):
            assert "blas" in dict(libraries)
            assert {threads for _, threads in libraries} == {1}


@pytest.mark.skipif(usable_cores() < 2, reason="needs a second core: one has one thread")
@pytest.mark.parametrize("start_method", START_METHODS)
def test_an_environment_is_limited_to_one_thread(start_method):
    with opened(start_method=start_method) as envs:
        assert envs.call("threads_that_suit") == [1, 1]
    assert usable_threads() == usable_cores()


@pytest.mark.parametrize("start_method", START_METHODS)
def test_torch_runs_one_thread_where_an_environment_loads_it(start_method):
    before = torch.get_num_threads()
    torch.set_num_threads(3)  # a forked worker finds it so
    try:
        with opened(start_method=start_method) as envs:
            assert envs.call("threads_of_torch") == [1, 1]
            assert {n for _, n in envs.call("threads_of_libraries")[0]} == {1}  # torch's, too
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_the_callers_libraries_and_variables_stay_as_they_are():
    threads, variables = threadpoolctl.threadpool_info(), dict(os.environ)
    with opened() as envs:
        assert envs.call("variable", "OMP_NUM_THREADS") == ["1", "1"]
        assert dict(os.environ) == variables
        assert threadpoolctl.threadpool_info() == threads
    assert dict(os.environ) == variables
    assert threadpoolctl.threadpool_info() == threads


@pytest.mark.parametrize("start_method", ["fork", "spawn"])  # a fork server has its own variables
def test_omp_num_threads_is_respected_if_set(start_method, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    with opened(start_method=start_method) as envs:
        assert envs.call("variable", "OMP_NUM_THREADS") == ["2", "2"]
        libraries = dict(envs.call("threads_of_libraries")[0])
        assert set(libraries.values()) <= {1, 2}
        assert os.environ["OMP_NUM_THREADS"] == "2"
