"""A worker's numeric libraries run one thread each, whatever they are and whenever they load."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import threadpoolctl
import torch
from vector_environments import Numeric

from pufferlib import vector
from pufferlib.cores import usable_cores, usable_threads
from pufferlib.vector import Multiprocessing

START_METHODS = ["fork", "forkserver", "spawn"]
TESTS = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def two_blas_threads(monkeypatch):
    """Let this process multiply in two threads, as a forked worker then finds it."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
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


NUMBA_IS_LOADED = """
import numba, threadpoolctl, torch
from vector_environments import Numeric
from pufferlib import vector
torch.set_num_threads(3)
threadpoolctl.threadpool_limits(2, user_api="blas")
envs = vector.make(Numeric, backend="Multiprocessing", start_method="fork")
libraries = envs.call("threads_of_libraries")[0]
print({threads for _, threads in libraries}, envs.call("threads_of_torch"))
envs.close()
"""


def test_numba_loaded_by_the_caller_changes_no_other_library():
    pytest.importorskip("numba")
    command = [sys.executable, "-W", "ignore", "-c", NUMBA_IS_LOADED]
    result = subprocess.run(command, capture_output=True, text=True, timeout=240, cwd=TESTS)
    assert result.stdout == "{1} [1]\n", result.stderr


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


# What a caller may have done before it forks its workers.
TORCH = """
import torch
torch.set_num_threads(2)
assert COMPUTE["torch"]() == 2
"""
TRAINER = """
from pufferlib.models import Default
from pufferlib.ppo import TrainConfig
from pufferlib.training import Trainer
envs = vector.make(Echo, num_envs=8)
Trainer(TrainConfig(threads=2, horizon=256, device="cpu"), envs, Default(envs)).step()
envs.close()
"""
OPENCV = """
import cv2
cv2.setNumThreads(2)
assert COMPUTE["opencv"]() == 2
"""
NUMBA = "import numba"
FORKED = """
from vector_environments import COMPUTE, Computing, Echo
from pufferlib import vector
{before}
options = dict(backend="Multiprocessing", num_envs=2, num_workers=2, timeout_s=60)
envs = vector.make(Computing, [{library!r}], start_method="fork", **options)
envs.reset(seed=0)
for _ in range(2):
    print(*envs.step([0, 0])[1])
envs.close()
"""


@pytest.mark.parametrize(
    ("library", "before"),
    [
        ("torch", TORCH),
        pytest.param("torch", TRAINER, marks=pytest.mark.long),
        ("torch", ""),
        ("opencv", OPENCV),
        ("opencv", ""),
        pytest.param("numba", NUMBA, marks=pytest.mark.long),
        pytest.param("numba", "", marks=pytest.mark.long),
    ],
    ids=["torch", "trainer", "torch later", "opencv", "opencv later", "numba", "numba later"],
)
@pytest.mark.parametrize("variable", [None, pytest.param("2", marks=pytest.mark.long)])
def test_a_forked_worker_does_not_wait_for_threads_of_the_caller(library, before, variable):
    pytest.importorskip({"opencv": "cv2"}.get(library, library))
    variables = {} if variable is None else {"OMP_NUM_THREADS": variable}
    done = subprocess.run(
        [sys.executable, "-c", FORKED.format(library=library, before=before)],
        env={
            **{name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"},
            **variables,
            "PYTHONPATH": os.pathsep.join(map(str, (TESTS, TESTS.parent))),
        },
        capture_output=True,
        text=True,
        timeout=240,
    )
    was_loaded = before and before is not NUMBA
    threads = 1 if variable is None or was_loaded else 2
    assert (done.stdout, done.stderr) == (f"{threads:.1f} {threads:.1f}\n" * 2, "")
