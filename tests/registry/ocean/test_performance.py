"""Performance: how big, how long, and how busy."""

import math
import time

import numpy as np
import pytest

from pufferlib.exceptions import ArgumentError
from pufferlib.registry.ocean.performance import Performance
from pufferlib.registry.ocean.performance_empiric import PerformanceEmpiric

CLASSES = [Performance, PerformanceEmpiric]


@pytest.mark.parametrize("make", CLASSES)
def test_observations_count_steps_and_episodes_are_cut_off(make):
    env = make(observation_bytes=5, episode_length=2)
    observation, _ = env.reset(seed=0)
    assert observation.tobytes() == b"\x00" * 5
    observation, reward, terminated, truncated, info = env.step(0)
    assert (observation.tobytes(), reward, terminated, truncated) == (b"\x01" * 5, 0, False, False)
    assert info == {}
    observation, _, terminated, truncated, _ = env.step(1)
    assert (observation.tobytes(), terminated, truncated) == (b"\x02" * 5, False, True)
    assert env.render() == "step 2 of 2"
    assert env.reset()[0].tobytes() == b"\x00" * 5


def drawn(env, count=20_000):
    env.reset(seed=0)
    return np.array([env.draw_delay_us() for _ in range(count)])


@pytest.mark.parametrize("make", CLASSES)
def test_delays_have_the_mean_and_deviation_asked_for(make):
    delays_us = drawn(make(delay_mean_us=100, delay_std_us=20))
    assert delays_us.mean() == pytest.approx(100, abs=1)
    assert delays_us.std() == pytest.approx(20, abs=1)
    assert drawn(make(delay_mean_us=7), 10) == pytest.approx(7)
    assert not drawn(make(), 10).any()


def test_normal_delays_are_never_below_zero():
    delays_us = drawn(Performance(delay_mean_us=0, delay_std_us=10))
    assert (delays_us == 0).mean() == pytest.approx(0.5, abs=0.02)
    # The mean of the positive half of a normal: deviation / sqrt(2 pi).
    assert delays_us.mean() == pytest.approx(10 / math.sqrt(2 * math.pi), abs=0.15)


def test_log_normal_delays_are_skewed():
    delays_us = drawn(PerformanceEmpiric(delay_mean_us=100, delay_std_us=100))
    assert (delays_us > 0).all()
    # The logarithm's variance is ln 2: the median lies at mean / sqrt(2).
    assert np.median(delays_us) == pytest.approx(100 / math.sqrt(2), abs=2)
    assert delays_us.max() > 1000


@pytest.mark.parametrize("make", CLASSES)
def test_a_delay_is_spent_on_the_processor(make):
    env = make(delay_mean_us=500, reset_delay_us=2_000)
    before_ns = time.thread_time_ns()
    env.reset(seed=0)
    after_reset_ns = time.thread_time_ns()
    env.step(0)
    assert after_reset_ns - before_ns >= 2_000_000
    assert time.thread_time_ns() - after_reset_ns >= 500_000


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"delay_mean_us": -1}, "delay_mean_us must be a finite number of at least 0; got -1"),
        ({"delay_std_us": -1}, "delay_std_us must be a finite number of at least 0; got -1"),
        ({"reset_delay_us": -1}, "reset_delay_us must be a finite number of at least 0; got -1"),
        ({"delay_mean_us": math.nan}, "delay_mean_us must be a finite .*; got nan"),
        ({"delay_std_us": math.inf}, "delay_std_us must be a finite .*; got inf"),
        ({"reset_delay_us": "9"}, "reset_delay_us must be a finite .*; got '9'"),
        ({"observation_bytes": 0}, "observation_bytes must be a whole number of at least 1; got 0"),
        ({"episode_length": 0}, "episode_length must be a whole number of at least 1; got 0"),
    ],
)
def test_what_cannot_be_is_refused(arguments, match):
    with pytest.raises(ArgumentError, match=match):
        Performance(**arguments)
