"""dm_control: the suite's own seeds, the other two collections, pictures without a display."""

import os
import subprocess
import sys

import numpy as np
import pytest

from pufferlib.exceptions import ArgumentError, CallOrderError
from pufferlib.registry import dm_control
from pufferlib.registry._mujoco_headless import mujoco

mujoco()  # chooses what draws, before dm_control does
from dm_control import manipulation, suite  # noqa: E402
from dm_control.locomotion.examples import basic_cmu_2019, basic_rodent_2020  # noqa: E402


def test_the_tasks_are_the_packages():
    listed = {f"{domain}-{task}" for domain, task in suite.ALL_TASKS} | set(manipulation.ALL)
    for module, start in ((basic_cmu_2019, "cmu_humanoid_"), (basic_rodent_2020, "rodent_")):
        names = [name for name in vars(module) if name.startswith(start)]
        listed |= {name.title().replace("_", "") for name in names}
    assert {f"dm_control/{name}-v0" for name in listed} == set(dm_control.FAMILY.tasks)


@pytest.mark.parametrize("task", ["cheetah-run", "lqr-lqr_2_1"])  # lqr draws its model as well
def test_a_seed_is_the_suites_own(task):
    domain, _, name = task.partition("-")
    env = dm_control.make_env(f"dm_control/{task}-v0").env
    for seed in (3, 4):
        bare = suite.load(domain, name, task_kwargs={"random": seed})
        found, expected = env.reset(seed=seed)[0], bare.reset().observation
        for _ in range(5):
            assert set(found) == set(expected)
            for key in found:
                np.testing.assert_array_equal(found[key], expected[key])
            action = np.full(env.action_space.shape, 0.3)
            found, reward, *_ = env.step(action)
            timestep = bare.step(action)
            expected = timestep.observation
            assert reward == timestep.reward


def test_the_time_limit_truncates_and_reports():
    env = dm_control.make_env(task_kwargs={"time_limit": 0.03})  # steps of 0.01 s
    env.reset(seed=0)
    for step in range(1, 4):
        *_, terminated, truncated, info = env.step(np.zeros(6))
        assert (terminated, truncated) == (False, step == 3)
        assert bool(info) == truncated
    assert info["episode_length"] == 3


@pytest.mark.long
@pytest.mark.parametrize("task", ["RodentTwoTouch", "RodentMazeForage"])
def test_a_seed_draws_mazes_and_what_is_to_be_touched(task):
    def played():
        np.random.seed()
        before = np.random.get_state()[1].copy()
        env = dm_control.make_env(f"dm_control/{task}-v0")
        seen = [env.reset(seed=3)[0]]
        env.env.env.dm_env.task._must_randomize_targets = True  # as after a touch
        seen += [env.step(np.zeros(env.action_space.shape))[0] for _ in range(2)]
        seen.append(env.reset()[0])
        np.testing.assert_array_equal(np.random.get_state()[1], before)
        env.close()
        return np.stack(seen)

    np.testing.assert_array_equal(played(), played())


def test_locomotion_and_manipulation_observe_what_they_should():
    env = dm_control.make_env("dm_control/CmuHumanoidGoToTarget-v0")
    observation, _ = env.env.reset(seed=0)
    assert observation in env.env.observation_space
    env = dm_control.make_env("dm_control/RodentTwoTouch-v0")
    observation, _ = env.env.reset(seed=0)
    assert observation["walker/egocentric_camera"].std() > 1
    assert observation in env.env.observation_space


def test_arguments_that_a_task_does_not_take_are_refused():
    with pytest.raises(ArgumentError, match=r"takes no arguments besides .* got time_limit"):
        dm_control.make_env("dm_control/reach_site_features-v0", time_limit=3)


def test_it_renders_without_a_display_and_warns_of_nothing():
    # Of a fresh process: what other tests leave to the garbage collector may print in the meantime.
    script = """
from pufferlib.registry import dm_control
env = dm_control.make_env(width=64, height=48, render_mode="rgb_array")
env.reset(seed=0)
print(env.render().shape, env.render().std() > 1)
env.close()
"""
    reported = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=240
    )
    assert (reported.stdout, reported.stderr) == ("(48, 64, 3) True\n", "")


@pytest.mark.parametrize(
    ("kwargs", "said"),
    [
        ({"camera_id": 2}, "camera_id must be a whole number from -1 to 1; got 2"),
        ({"width": 5000}, "width must be a whole number from 1 to 640; got 5000"),
        ({"task_kwargs": {"random": 3}}, r"Give it to reset: env\.reset\(seed=3\)"),
    ],
)
def test_an_argument_that_cannot_be_is_refused(kwargs, said):
    with pytest.raises(ArgumentError, match=said):
        dm_control.make_env("dm_control/cheetah-run-v0", **kwargs)


def test_no_task_kwargs_are_those_of_the_suite():
    dm_control.make_env("dm_control/cheetah-run-v0", task_kwargs=None).close()


@pytest.mark.parametrize("task", ["cheetah-run", "RodentTwoTouch"])
def test_every_seed_is_taken_and_closing_again_does_nothing(task):
    env = dm_control.make_env(f"dm_control/{task}-v0")
    env.reset(seed=2**32 + 3)
    env.close()
    env.close()
    with pytest.raises(CallOrderError, match="is closed"):
        env.env.reset()


PIXELS_LATER = """
import dm_control.mujoco  # as TorchRL does
from pufferlib.registry import dm_control
env = dm_control.make_env("dm_control/cheetah-run-v0", render_mode="rgb_array")
env.reset(seed=0)
assert env.render().any()
"""


@pytest.mark.long
def test_it_renders_without_a_display_if_dm_control_was_imported_before():
    unset = ("DISPLAY", "MUJOCO_GL", "PYOPENGL_PLATFORM")
    env = {name: value for name, value in os.environ.items() if name not in unset}
    result = subprocess.run(
        [sys.executable, "-c", PIXELS_LATER], env=env, capture_output=True, text=True, timeout=240
    )
    assert result.returncode == 0, result.stderr
