"""Stepping an emulated environment allocates no arrays: observations go straight into their rows.

The environments here return the same objects on every call, so all allocations are emulation's
own.
"""

import collections
import contextlib
import gc
import sys
import tracemalloc

import gymnasium
import numpy as np
import pettingzoo
import pytest
from gymnasium.spaces import Box, Dict, Discrete

from pufferlib.emulation import GymnasiumPufferEnv, native

SMALL = 4096  # bytes: room for a step's dicts, lists and numbers
LARGE = 2**20

SPACES = {
    "lone Box": Box(0, 255, (1024, 1024), np.uint8),
    "one dtype": Dict(a=Box(-1, 1, (256, 1024)), b=Box(-1, 1, (3,)), c=Box(-1, 1, ())),
    "bytes": Dict(a=Box(0, 255, (1024, 1024), np.uint8), b=Box(-1, 1, (3,)), c=Discrete(4)),
}
over_large_spaces = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)


@pytest.fixture(autouse=True)
def without_tracer():
    """Pause coverage here: its records would count as allocations of emulation."""
    tracer = sys.gettrace()
    sys.settrace(None)
    yield
    sys.settrace(tracer)


class Still(gymnasium.Env):
    """Returns the same objects on every step; every seventh step ends an episode."""

    action_space = Discrete(2)

    def __init__(self, space):
        self.observation_space = space
        observation = space.sample()
        self.first = observation, {}
        self.between = observation, 0.5, False, False, {}
        self.last = observation, 0.5, True, False, {}
        self.now = 0

    def reset(self, *, seed=None, options=None):
        return self.first

    def step(self, action):
        self.now = (self.now + 1) % 7
        return self.between if self.now else self.last


class Copying(Still):
    """Returns a copy of the observation on every step."""

    def step(self, action):
        observation, *rest = super().step(action)
        return observation.copy(), *rest


class StillCrowd(pettingzoo.ParallelEnv):
    """Returns the same objects on every step, for agents that never leave."""

    metadata = {"name": "still_crowd"}  # noqa: RUF012  # as PettingZoo declares it

    def __init__(self, space):
        self.space, self.possible_agents = space, ["a", "b", "c"]
        self.agents = list(self.possible_agents)
        observations = {agent: space.sample() for agent in self.agents}
        infos = {agent: {} for agent in self.agents}
        self.first = observations, infos
        flags = dict.fromkeys(self.agents, False)
        self.between = observations, dict.fromkeys(self.agents, 0.5), flags, flags, infos

    def observation_space(self, agent):
        return self.space

    def action_space(self, agent):
        return Discrete(2)

    def reset(self, seed=None, options=None):
        return self.first

    def step(self, actions):
        return self.between


@contextlib.contextmanager
def tracing():
    """Trace allocations, with garbage collection off."""
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()
        gc.enable()


def growth(step, times):
    """Call `step` repeatedly; return the bytes allocated at the peak, and at the end."""
    with tracing():
        for _ in range(200):  # CPython keeps up to 80 freed dicts for later
            step()
        start, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        for _ in range(times):
            step()
        now, peak = tracemalloc.get_traced_memory()
    return peak - start, now - start


def stepping(env):
    """Return a function that steps a vectorizable environment once."""
    env.reset(seed=0)
    actions = np.zeros(env.num_agents, np.int64)
    return lambda: env.step(actions)


@over_large_spaces
@pytest.mark.parametrize("bare", [Still, StillCrowd])
def test_a_step_into_rows_allocates_no_array(bare, space):
    env = native(bare(space))
    assert env.observations[0].nbytes >= LARGE
    peak, left = growth(stepping(env), times=100)
    assert peak < SMALL
    assert left < SMALL


@pytest.mark.parametrize("bare", [Still, StillCrowd])
def test_steps_do_not_leak_memory(bare):
    _, left = growth(stepping(native(bare(SPACES["bytes"]))), times=1000)
    assert left < 1000  # less than a byte a step


def test_an_allocated_array_is_detected():
    peak, left = growth(stepping(native(Copying(SPACES["lone Box"]))), times=10)
    assert LARGE <= peak < LARGE + SMALL
    assert left < SMALL


@over_large_spaces
def test_an_unvectorized_step_allocates_only_the_row_that_it_returns(space):
    env = GymnasiumPufferEnv(Still(space))
    row = env.reset(seed=0)[0].nbytes
    peak, left = growth(lambda: env.step(0), times=100)
    assert row <= peak < row + SMALL
    assert left < SMALL


def test_keeping_observations_costs_one_row_per_step():
    env = GymnasiumPufferEnv(Still(SPACES["bytes"]))
    row = env.reset(seed=0)[0].nbytes
    kept = collections.deque([None] * 20, maxlen=20)
    with tracing():
        start, _ = tracemalloc.get_traced_memory()
        for _ in range(60):
            kept.append(env.step(0)[0])
        left, peak = (traced - start for traced in tracemalloc.get_traced_memory())
    assert 20 * row <= left < 20 * row + SMALL
    assert peak < 21 * row + SMALL  # the newest is allocated before the oldest is freed
