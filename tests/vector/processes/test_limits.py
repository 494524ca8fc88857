"""Small limits of a container: /dev/shm, processes, open files."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from vector_environments import Troubled
from vector_processes import children

from pufferlib import vector
from pufferlib.exceptions import WorkerError
from pufferlib.vector import Multiprocessing

TESTS = Path(__file__).parents[2]
SMALL_SHM = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs -o size=64k tmpfs /dev/shm && "$@"', "-"]


def output(code, *command):
    """Return what a script prints that can import what this can."""
    done = subprocess.run(
        [*command, sys.executable, "-c", code],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, (TESTS, TESTS.parent))),
            "COVERAGE_PROCESS_CONFIG": "",  # it opens a file, too
        },
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


LARGE_ROWS = """
import os
import gymnasium
import numpy as np
from pufferlib import vector

class Large(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(0, 255, (2**22,), np.uint8)
    action_space = gymnasium.spaces.Discrete(256)

    def reset(self, *, seed=None, options=None):
        return np.zeros(2**22, np.uint8), {}

    def step(self, action):
        return np.full(2**22, action, np.uint8), 0.0, False, False, {}

envs = vector.make(Large, backend="Multiprocessing", num_envs=8, num_workers=2)
envs.reset(seed=0)
print(envs.step(np.arange(8))[0][:, [0, -1]].tolist())
print(os.listdir("/dev/shm"))
envs.close()
"""


def test_rows_do_not_depend_on_the_size_of_dev_shm():
    if subprocess.run([*SMALL_SHM, "true"], capture_output=True, timeout=240).returncode:
        pytest.skip("no permission to mount a small /dev/shm")
    assert output(LARGE_ROWS, *SMALL_SHM) == [str([[n, n] for n in range(8)]), "[]"]


FEW = """
import os, resource, sys
from vector_environments import Echo
from vector_processes import children, open_descriptors, start_helpers
from pufferlib import vector
from pufferlib.exceptions import WorkerError

def make(num):
    return vector.make(Echo, backend="Multiprocessing", num_envs=num, num_workers=num)

start_helpers()
make(1).close()  # everything is loaded
before = open_descriptors()
limits = resource.getrlimit(resource.RLIMIT_NOFILE)
{limit}
try:
    make(16)
except WorkerError as error:
    print(str(error).partition(": ")[2])
resource.setrlimit(resource.RLIMIT_NOFILE, limits)
# multiprocessing itself leaves the two pipes of a process that could not be forked
print(len(children()), open_descriptors() - before <= 4)
"""
ADVICE = (
    "This machine or container limits processes, open files or memory (ulimit -a). Use fewer "
    "workers."
)


@pytest.mark.parametrize("more", [0, 1, 2, 3, 4, 5, 10])
def test_too_few_open_files_are_an_error_that_says_so_and_nothing_is_left(more):
    limit = f"resource.setrlimit(resource.RLIMIT_NOFILE, (before + {more}, limits[1]))"
    assert output(FEW.format(limit=limit)) == [f"Too many open files. {ADVICE}", "0 True"]


@pytest.mark.parametrize("most", [1, 4, 9])
def test_too_few_processes_are_an_error_that_says_so_and_no_process_is_left(most, monkeypatch):
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    limit = f"""
if os.getuid() == 0:  # whom the limit does not bind
    os.setuid(54321)
resource.setrlimit(resource.RLIMIT_NPROC, ({most}, {most}))
"""
    said = output(FEW.format(limit=limit))
    assert said == [f"Resource temporarily unavailable. {ADVICE}", "0 True"]


def test_a_worker_that_cannot_be_replaced_is_an_error_and_nothing_is_left():
    envs = vector.make(
        Troubled, backend=Multiprocessing, num_envs=2, num_workers=2, on_failure="restart"
    )
    envs.reset(seed=0)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
    try:
        with pytest.raises(WorkerError, match=r"Worker 1 \(environment 1\) could not be started: "):
            envs.step([0, Troubled.RAISE])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert children() == set()
    envs.close()
