"""MAgent: its tasks, and agents that die."""

import importlib
import itertools
import pkgutil
from contextlib import closing

import numpy as np
import pytest

pytest.importorskip("magent2")

from kinds import kinds_of_bare, kinds_of_emulated
from magent2 import environments

from pufferlib.emulation import native
from pufferlib.registry import magent
from pufferlib.testing import check_env


def test_the_tasks_are_those_of_the_package():
    names = {module.name for module in pkgutil.iter_modules(environments.__path__)}
    assert set(magent.FAMILY.tasks) == {name for name in names if name[-1].isdigit()}


@pytest.mark.parametrize("task", magent.FAMILY.tasks)
def test_a_task_keeps_the_contract_and_has_the_packages_agents(task):
    check_env(magent.env_creator(task), steps=5)
    bare = importlib.import_module(f"magent2.environments.{task}").parallel_env()
    with closing(bare), closing(magent.make_env(task)) as env:
        assert env.possible_agents == bare.possible_agents
        assert kinds_of_emulated(env) == kinds_of_bare(bare)


def test_games_that_are_given_no_seed_differ():
    def first_rows():
        with closing(native(magent.make_env("adversarial_pursuit_v4"))) as env:
            return env.reset()[0].copy()  # its walls are drawn; battles draw nothing

    assert not np.array_equal(first_rows(), first_rows())


def test_rows_of_agents_that_have_died_are_absent_for_the_rest_of_the_episode():
    with closing(native(magent.make_env("combined_arms_v6", map_size=16, max_cycles=60))) as env:
        env.reset(0)
        actions = np.random.default_rng(0)
        high = env.single_action_space.nvec
        dead = np.zeros(env.num_agents, bool)
        for step in range(1, 60):
            before = env.masks.copy()
            infos = env.step(actions.integers(high, size=(env.num_agents, len(high))))[4]
            assert [info["episode_length"] for info in infos] == [step] * env.terminals.sum()
            dead |= env.terminals
            assert (env.terminals <= before).all()
            assert (env.masks == ~dead).all()
            assert not env.observations[dead].any()
        assert 0 < dead.sum() < env.num_agents
        infos = env.step(np.zeros((env.num_agents, len(high)), int))[4]
        assert [info["episode_length"] for info in infos] == [60] * (~dead).sum()
        assert (env.truncations == ~dead).all()
        assert env.masks.all()  # the next episode


def test_it_renders_without_a_display():
    with closing(magent.make_env("battlefield_v5", render_mode="rgb_array")) as env:
        env.reset(seed=0)
        assert env.render().std() > 0


def test_each_picture_is_of_the_state_after_its_step():
    with closing(native(magent.make_env("battlefield_v5", render_mode="rgb_array"))) as env:
        env.reset(0)
        pictures = [env.render()]
        for _ in range(4):
            env.step(np.full(env.num_agents, 3))  # all walk
            pictures.append(env.render())
        changed = [(a != b).any() for a, b in itertools.pairwise(pictures)]
        assert changed == [True] * 4
