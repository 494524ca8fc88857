"""The dm_env interface as Gymnasium's: ends, copies, seeds, spaces."""

import dm_env
import gymnasium
import numpy as np
import pytest
from dm_env import specs
from gymnasium.spaces import Box, Dict, Discrete

from pufferlib.registry._dm_env import DmEnv, space_of


class Walk(dm_env.Environment):
    """Three steps; the last is a fall, or the time is up. Observes one buffer, over and over."""

    def __init__(self, seed, is_fall):
        self.seed, self.is_fall, self.is_closed = seed, is_fall, False
        self.buffer = np.zeros(2)

    def reset(self):
        self.buffer[:] = self.seed if self.seed is not None else -1, 0
        return dm_env.restart(self.buffer)

    def step(self, action):
        self.buffer[1] += 1
        if self.buffer[1] < 3:
            return dm_env.transition(0.5, self.buffer)
        return (dm_env.termination if self.is_fall else dm_env.truncation)(1.5, self.buffer)

    def observation_spec(self):
        return specs.Array((2,), np.float64)

    def action_spec(self):
        return specs.DiscreteArray(4)

    def close(self):
        self.is_closed = True


def made(is_fall=True):
    return DmEnv(lambda seed: Walk(seed, is_fall), lambda env, seen: seen, "rgb_array")


@pytest.mark.parametrize("is_fall", [True, False])
def test_a_discount_of_zero_terminates_and_another_truncates(is_fall):
    env = made(is_fall)
    env.reset(seed=0)
    reported = [env.step(0)[1:4] for _ in range(3)]
    assert reported == [(0.5, False, False)] * 2 + [(1.5, is_fall, not is_fall)]


def test_what_was_observed_stays():
    env = made()
    first, _ = env.reset(seed=4)
    second = env.step(0)[0]
    env.step(0)
    assert first.tolist() == [4, 0]
    assert second.tolist() == [4, 1]


def test_a_seed_builds_again_and_no_seed_goes_on():
    env = made()
    before = env.dm_env
    assert env.reset()[0][0] == -1
    assert env.reset(seed=7)[0][0] == 7
    assert before.is_closed
    seeded = env.dm_env
    env.reset()
    assert env.dm_env is seeded
    env.close()
    assert seeded.is_closed


def test_a_build_that_fails_leaves_the_environment_as_it_was():
    env = made()
    env.reset(seed=1)
    build = env._build
    env._build = lambda seed: 1 / 0
    with pytest.raises(ZeroDivisionError):
        env.reset(seed=2)
    env._build = build
    assert env.step(0)[0].tolist() == [1, 1]


def test_nothing_is_drawn_before_the_first_reset():
    with pytest.raises(gymnasium.error.ResetNeeded, match="Call reset first"):
        made().render()


def test_specs_become_spaces():
    given = {
        "free": specs.Array((2, 3), np.float32),
        "count": specs.Array((1,), np.int64),
        "touch": specs.Array((), bool),
        "bounded": specs.BoundedArray((2,), np.float64, -1.0, [2.0, 3.0]),
        "choice": specs.DiscreteArray(5),
    }
    limits = np.iinfo(np.int64)
    assert space_of(given) == Dict(
        free=Box(-np.inf, np.inf, (2, 3), np.float32),
        count=Box(limits.min, limits.max, (1,), np.int64),
        touch=Box(0, 1, (), np.uint8),
        bounded=Box(np.full(2, -1.0), np.array([2.0, 3.0]), dtype=np.float64),
        choice=Discrete(5),
    )
