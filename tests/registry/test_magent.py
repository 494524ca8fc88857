"""MAgent: its tasks, and agents that die."""

import pkgutil
from contextlib import closing

import numpy as np
import pytest

pytest.importorskip("magent2")

from magent2 import environments

from pufferlib.emulation import native
from pufferlib.registry import magent


def test_the_tasks_are_those_of_the_package():
    names = {module.name for module in pkgutil.iter_modules(environments.__path__)}
    assert set(magent.FAMILY.tasks) == {name for name in names if name[-1].isdigit()}


def test_rows_of_agents_that_have_died_are_absent_for_the_rest_of_the_episode():
    with closing(native(magent.make_env("combined_arms_v6", map_size=16, max_cycles=60))) as env:
        env.reset(0)
        actions = np.random.default_rng(0)
        high = env.single_action_space.nvec
        dead = np.zeros(env.num_agents, bool)
        for _ in range(59):
            before = env.masks.copy()
            env.step(actions.integers(high, size=(env.num_agents, len(high))))
            dead |= env.terminals
            assert (env.terminals <= before).all()
            assert (env.masks == ~dead).all()
            assert not env.observations[dead].any()
        assert 0 < dead.sum() < env.num_agents
        env.step(np.zeros((env.num_agents, len(high)), int))
        assert (env.truncations == ~dead).all()
        assert env.masks.all()  # the next episode


def test_it_renders_without_a_display():
    with closing(magent.make_env("battlefield_v5")) as env:
        env.reset(seed=0)
        assert env.render().std() > 0
