"""Emulation loses nothing: each task, flat and unflattened again, plays as the one inside does."""

import contextlib
import copy
import math

import numpy as np
import pytest
from environments import Countdown, Population, Sampler
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Tuple
from plays import play, play_parallel
from spaces_cases import SPACES, assert_agree

from pufferlib import registry
from pufferlib.emulation import GymnasiumPufferEnv, PettingZooPufferEnv
from pufferlib.environment import PufferEnv

FAMILIES = [registry.load(name) for name in registry.builtin_families()]
SLOWEST = {
    *("highway-fast-v0", "parking-v0", "two-way-v0", "NMMO-Small", "cooperative_pong_v6"),
    *("pursuit_v5", "Airstriker-Genesis-v0", "procgen-coinrun-v0"),
}
TASKS = [
    pytest.param(module, task, id=task, marks=pytest.mark.long if task in SLOWEST else ())
    for module in FAMILIES
    for task in module.FAMILY.samples
]


@pytest.mark.parametrize(("module", "task"), TASKS)
def test_a_task_plays_as_the_environment_inside_it(module, task):
    # An unseeded task plays another game in every instance, and some packages have but one in a
    # process: there what passes inside is recorded.
    family = module.FAMILY
    is_recorded = task in family.unseeded_tasks or family.is_one_per_process
    assert_plays_as_inside(module.env_creator(task), is_recorded)


NESTED = SPACES["nested"]
OURS = {
    "gymnasium": lambda: GymnasiumPufferEnv(Countdown()),
    "gymnasium, nested": lambda: GymnasiumPufferEnv(Sampler(NESTED, NESTED)),
    "pettingzoo": lambda: PettingZooPufferEnv(Population()),
}


@pytest.mark.parametrize("is_recorded", [False, True], ids=["two instances", "recorded"])
@pytest.mark.parametrize("make", OURS.values(), ids=OURS)
def test_the_comparison_holds_for_environments_reported_by_hand(make, is_recorded):
    assert_plays_as_inside(make, is_recorded)


def assert_plays_as_inside(creator, is_recorded):
    """Refuse a difference between an emulated environment and the one inside of a second instance.

    Args:
        creator: makes the emulated one.
        is_recorded: compare with what passes inside of the first instance instead.
    """
    with contextlib.ExitStack() as stack:
        env = stack.enter_context(contextlib.closing(creator()))
        if isinstance(env, PufferEnv):
            pytest.skip("native: nothing is emulated")
        if is_recorded:
            env.env = inside = Recorder(env.env)
        else:
            inside = stack.enter_context(contextlib.closing(creator())).env
        both = play_parallel if isinstance(env, PettingZooPufferEnv) else play
        both(env, inside, structured, assert_agree)


def structured(action, space):
    """Return a flat action in the structure of `space`, in another way."""
    columns = iter(np.ravel(action).tolist())
    return take(columns, space)


def take(columns, space):
    if isinstance(space, Dict):
        return {key: take(columns, part) for key, part in space.items()}
    if isinstance(space, Tuple):
        return tuple(take(columns, part) for part in space)
    if isinstance(space, Discrete):
        return int(next(columns)) + int(space.start)
    assert isinstance(space, (Box, MultiBinary, MultiDiscrete)), space
    values = np.array([next(columns) for _ in range(math.prod(space.shape))], space.dtype)
    first = space.start if isinstance(space, MultiDiscrete) else space.dtype.type(0)
    return values.reshape(space.shape) + first


class Recorder:
    """Answers twice: the emulated environment from the one inside, then the test with the same."""

    def __init__(self, env):
        self.env, self.kept = env, None

    def __getattr__(self, name):
        return getattr(self.env, name)

    def reset(self, **kwargs):
        return self._answer(None, lambda: self.env.reset(**kwargs))

    def step(self, action):
        return self._answer(action, lambda: self.env.step(action))

    def _answer(self, action, act):
        if self.kept is None:
            action = copy.deepcopy(action)  # as it is given
            result = act()
            self.kept = action, copy.deepcopy(result)
            return result
        (given, result), self.kept = self.kept, None
        assert_agree(given, action)
        return result
