"""The parts of the wall time add up to nearly all of it."""

import time

import gymnasium
import numpy as np
import pytest
from training_environments import collector_of

from pufferlib import vector
from pufferlib.models import Default
from pufferlib.training.profile import Profile, Throughput
from pufferlib.training.statistics import RewardScale

NAP_S = 0.02
HORIZON = 8


def test_shares_add_up_to_the_whole():
    profile = Profile()
    for name in ("environment", "train", "environment"):
        with profile.part(name):
            sum(range(20_000))
    shares = profile.shares()
    assert set(shares) == {"environment", "train", "other"}
    assert sum(shares.values()) == pytest.approx(1)
    assert min(shares.values()) > 0


def test_the_time_of_a_part_within_another_counts_once():
    profile = Profile()
    with profile.part("copy"):
        for _ in range(2):
            with profile.part("forward"):
                time.sleep(NAP_S)
    elapsed_s = profile.elapsed_s
    assert profile.seconds["forward"] >= 2 * NAP_S
    assert profile.seconds["forward"] + profile.seconds["copy"] <= elapsed_s


def test_throughput_is_that_of_the_latest_updates(monkeypatch):
    clock = iter([0.0, 1.0, 2.0, 4.0, 6.0])
    monkeypatch.setattr("pufferlib.training.profile.time.perf_counter", lambda: next(clock))
    throughput = Throughput(timesteps=500, updates=2)  # 500 of the run that is resumed
    assert throughput.steps_per_second == 0
    found = []
    for timesteps in (600, 700, 800, 900):
        throughput.add(timesteps)
        found.append(throughput.steps_per_second)
    assert found == [100, 100, 200 / 3, 50]  # the updates take 1, 1, 2 and 2 seconds


def test_throughput_leaves_out_what_is_skipped(monkeypatch):
    clock = iter([0.0, 2.0, 9.0])
    monkeypatch.setattr("pufferlib.training.profile.time.perf_counter", lambda: next(clock))
    throughput = Throughput()
    throughput.add(100)
    throughput.skip(5.0)  # from 2 to 7, so the second update takes 2 seconds
    throughput.add(300)
    assert throughput.steps_per_second == 300 / (2 + 2)


class Sleepy(gymnasium.Env):
    """Sleeps in every step; every second step is truncated."""

    observation_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        self.count = 0
        return np.zeros(2, np.float32), {}

    def step(self, action):
        time.sleep(NAP_S)
        self.count += 1
        return np.zeros(2, np.float32), 1.0, False, self.count == 2, {}


class SleepyScale(RewardScale):
    """Sleeps in every step."""

    def __call__(self, *args):
        time.sleep(NAP_S)
        return super().__call__(*args)


class SleepyPolicy(Default):
    """Sleeps in every forward."""

    def forward(self, observations):
        time.sleep(NAP_S)
        return super().forward(observations)


def test_the_time_of_a_rollout_is_that_of_its_parts():
    vecenv = vector.make(Sleepy)
    profile = Profile()
    policy, scale = SleepyPolicy(vecenv), SleepyScale(1, 0.99)
    collector = collector_of(vecenv, policy, HORIZON, scale, profile)
    collector.begin(1)
    collector.collect()
    # A forward for each step, one for the last bootstrap, and one for each truncation.
    naps = {"environment": HORIZON, "copy": HORIZON, "forward": HORIZON + 1 + HORIZON // 2}
    assert set(profile.seconds) == set(naps)
    for name, count in naps.items():
        assert profile.seconds[name] >= count * NAP_S
    assert sum(profile.seconds.values()) <= profile.elapsed_s
