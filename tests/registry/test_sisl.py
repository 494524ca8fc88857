"""SISL: its tasks, and time limits that are reported as such."""

from contextlib import closing

import numpy as np
import pettingzoo
import pytest

pytest.importorskip("Box2D")

from pufferlib.registry import sisl


def test_the_tasks_are_those_that_pettingzoo_registers():
    ids = {name for name in pettingzoo.parallel_registry if name.startswith("sisl/")}
    assert {pettingzoo.spec("parallel", f"sisl/{task}").id for task in sisl.FAMILY.tasks} == ids


@pytest.mark.parametrize(("task", "still"), [("multiwalker_v9", np.zeros(4)), ("pursuit_v5", 4)])
def test_the_time_limit_truncates(task, still):
    with closing(sisl.make_env(task, max_cycles=3)) as env:
        env.reset(seed=0)
        for step in (1, 2, 3):
            _, _, terminations, truncations, infos = env.step(
                {agent: np.asarray(still, env.single_action_space.dtype) for agent in env.agents}
            )
            assert not any(terminations.values())
            assert set(truncations.values()) == {step == 3}
        assert not env.agents
        assert all(info["episode_length"] == 3 for info in infos.values())


def test_walkers_that_drop_the_package_are_terminated_on_the_step_of_the_time_limit_too():
    ends = {}
    for limit in (500, None):
        # With the second limit the very step on which the walkers fall is the last one.
        with closing(sisl.make_env("multiwalker_v9", max_cycles=limit or ends[500])) as env:
            env.reset(seed=0)
            actions = np.random.default_rng(0)
            steps = 0
            while env.agents:
                chosen = {a: actions.uniform(-1, 1, 4).astype(np.float32) for a in env.agents}
                _, _, terminations, truncations, _ = env.step(chosen)
                steps += 1
            ends[limit or 500] = steps
            assert set(terminations.values()) == {True}
            assert set(truncations.values()) == {False}
    assert 1 < ends[500] < 500


def test_it_renders_without_a_display():
    with closing(sisl.make_env("pursuit_v5", render_mode="rgb_array")) as env:
        env.reset(seed=0)
        assert env.render().std() > 0
