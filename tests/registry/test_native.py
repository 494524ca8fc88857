"""Native forms, one environment that steps many games, in worker processes."""

import subprocess
import sys

import pytest

from pufferlib import registry
from pufferlib.cores import usable_cores

# Of a fresh process: a Java machine, or threads, of earlier tests would be there when it forks.
SCRIPT = """
import sys
from contextlib import closing
from functools import partial
from pufferlib import registry
from pufferlib.runs.smoke import check_same, play
from pufferlib.vector import make

family, task = sys.argv[1:]
creator = partial(registry.load(family).make_env, task, num_envs=2)

def played(actions=None, **backend):
    with closing(make(creator, num_envs=2, **backend)) as vecenv:
        assert vecenv.agents_per_env == [2, 2]
        return play(vecenv, 200, vecenv.action_space if actions is None else actions)

workers = {"backend": "Multiprocessing", "num_workers": 2}
forked = played(start_method="fork", **workers)
spawned = played(forked.action_space, start_method="spawn", **workers)
check_same(spawned, forked, "spawned and forked workers")
check_same(played(forked.action_space, backend="Serial"), forked, "this process and workers")
"""

# Prints how many threads ALE starts for four games.
THREADS = """
import os, time
from pufferlib.cores import limit_threads
from pufferlib.registry import atari

def threads():
    time.sleep(0.002)  # the kernel still lists a thread that was joined a moment ago
    return len(os.listdir("/proc/self/task"))

os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
atari.make_env(num_envs=1, num_threads=1).close()
before = min(threads() for _ in range(100))
{limit}
env = atari.make_env(num_envs=4)
print(threads() - before)
"""


@pytest.mark.skipif(usable_cores() < 2, reason="needs a second core: one has one thread")
@pytest.mark.parametrize(("limit", "threads"), [("", 2), ("limit_threads(1)", 1)])
def test_native_games_of_atari_run_a_thread_for_each_core_unless_limited(limit, threads):
    pytest.importorskip("ale_py")
    command = [sys.executable, "-c", THREADS.format(limit=limit)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=True)
    assert int(done.stdout) == threads


@pytest.mark.parametrize(
    ("family", "task"),
    [
        ("atari", "ALE/Pong-v5"),
        pytest.param("procgen", "procgen-bigfish-v0", marks=pytest.mark.long),
        pytest.param("nethack", "NetHackScore-v0", marks=pytest.mark.long),
        pytest.param("minihack", "MiniHack-River-v0", marks=pytest.mark.long),
        pytest.param("microrts", "MicroRTS-8x8-workerRushAI", marks=pytest.mark.long),
        pytest.param("slimevolley", "SlimeVolley-v0", marks=pytest.mark.long),
    ],
)
def test_native_games_are_the_same_in_forked_and_spawned_workers_and_here(family, task):
    pytest.importorskip(registry.load(family).FAMILY.package)
    command = [sys.executable, "-c", SCRIPT, family, task]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
