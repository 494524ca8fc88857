"""What an environment costs: by hand from given durations, and at least the time it sleeps."""

import os
import subprocess
import sys
import time
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete
from vector_environments import Echo, Flock

from pufferlib.vector.tuning.env_profile import profile, summarize

REST = {
    "reset_us": 7.0,
    "cpu_fraction": 0.5,
    "queued_fraction": 0.25,
    "num_agents": 2,
    "observation_bytes": 100,
    "memory_bytes": None,
}


class Sleeper(gymnasium.Env):
    """A step sleeps 2 ms, a reset 10 ms; an episode has five steps."""

    observation_space = Box(0, 1, (3,))
    action_space = Discrete(2)

    def reset(self, *, seed=None, options=None):
        time.sleep(0.01)
        self.steps = 0
        return np.zeros(3, np.float32), {}

    def step(self, action):
        time.sleep(0.002)
        self.steps += 1
        return np.zeros(3, np.float32), 0.0, self.steps == 5, False, {}


def test_a_sleeping_environment_costs_no_less_than_it_sleeps():
    measured = profile(Sleeper, seconds=0.2)
    assert measured.step_us >= 2000
    assert measured.reset_us >= 10_000
    assert 0 <= measured.reset_fraction < 1
    assert 0 < measured.steps_per_second <= 500
    assert measured.observation_bytes == 12
    assert 0 < measured.bandwidth_mb_s <= 12 / 2000


def test_a_profile_is_computed_from_durations():
    durations_us = np.array([1.0, 3.0, 1.0, 3.0, 12.0])
    measured = summarize(durations_us, np.array([False] * 4 + [True]), **REST)
    assert (measured.step_us, measured.step_cv) == (2.0, 0.5)
    assert measured.reset_fraction == (12 - 2) / 20
    assert measured.steps_per_second == 500_000  # 2 agents, 5 steps, 20 us
    assert measured.bandwidth_mb_s == 5 * 100 / 20
    assert (measured.steps, measured.reset_us) == (5, 7.0)
    assert (measured.cpu_fraction, measured.queued_fraction) == (0.5, 0.25)


@pytest.mark.parametrize("ended", [False, True])
def test_without_steps_that_end_no_episode_the_reset_fraction_is_zero(ended):
    measured = summarize(np.array([1.0, 3.0]), np.array([ended] * 2), **REST)
    assert (measured.step_us, measured.step_cv, measured.reset_fraction) == (2.0, 0.5, 0)


def test_all_agents_count_and_every_environment_is_closed(tmp_path):
    assert profile(Flock, seconds=0.01).num_agents == 3
    assert profile(Flock, seconds=0.01).observation_bytes == 3 * 2 * 8
    graves = iter([tmp_path / "first", tmp_path / "second"])
    measured = profile(lambda: Echo(grave=next(graves)), seconds=0.01)
    assert measured.num_agents == 1
    assert {path.name for path in tmp_path.iterdir()} == {"first", "second"}


@pytest.mark.skipif(not Path("/proc/thread-self/schedstat").exists(), reason="needs schedstat")
def test_time_when_other_programs_had_the_core_does_not_count_as_waiting():
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    rival = subprocess.Popen([sys.executable, "-c", "while True: pass"])  # on the same core
    try:
        measured = profile(Echo, seconds=0.5)
    finally:
        rival.kill()
        rival.wait()
        os.sched_setaffinity(0, cores)
    assert measured.queued_fraction > 0
    assert profile(Sleeper, seconds=0.1).cpu_fraction < 0.5 < measured.cpu_fraction
