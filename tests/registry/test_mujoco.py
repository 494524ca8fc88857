"""MuJoCo: Gymnasium's version 5 tasks, in a directory that stays clean."""

import logging
import os

import gymnasium
import numpy as np
import pytest

from pufferlib.exceptions import ArgumentError
from pufferlib.registry import mujoco


def test_the_tasks_are_gymnasiums_of_version_5():
    specs = gymnasium.registry.values()
    listed = [
        s.id for s in specs if "gymnasium.envs.mujoco" in str(s.entry_point) and s.version == 5
    ]
    assert sorted(listed) == list(mujoco.FAMILY.tasks)


@pytest.mark.parametrize("name", mujoco.FAMILY.tasks)
def test_a_task_plays_as_the_bare_one(name):
    env, bare = mujoco.make_env(name), gymnasium.make(name, disable_env_checker=True)
    np.testing.assert_array_equal(env.reset(seed=5)[0], bare.reset(seed=5)[0])
    actions = np.random.default_rng(1).uniform(-0.4, 0.4, (20, *bare.action_space.shape))
    for action in actions.astype(np.float32):
        observation, *reported, _ = env.step(action)
        expected, *expected_reported, _ = bare.step(action)
        np.testing.assert_array_equal(observation, expected)
        assert observation.dtype == np.float64
        assert reported == expected_reported
        if reported[1]:
            break


def test_a_warning_is_logged_and_no_file_is_written(tmp_path, monkeypatch, caplog, capfd):
    monkeypatch.chdir(tmp_path)
    env = mujoco.make_env("HalfCheetah-v5")  # whose model warns that it is old
    env.reset(seed=0)
    assert capfd.readouterr() == ("", "")
    env.unwrapped.data.qacc[:] = np.nan
    env.unwrapped.data.qpos[:] = np.nan
    with caplog.at_level(logging.WARNING):
        env.step(np.zeros(6, np.float32))
    assert "MuJoCo: Nan, Inf or huge value" in caplog.text
    assert os.listdir(tmp_path) == []


def test_a_window_without_a_display_is_refused(monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ArgumentError, match=r"there is no display: .* Give 'rgb_array'"):
        mujoco.make_env("Hopper-v5", render_mode="human")


def test_it_renders_without_a_display():
    env = mujoco.make_env("Hopper-v5", render_mode="rgb_array", width=64, height=48)
    env.reset(seed=0)
    assert env.render().shape == (48, 64, 3)
    assert env.render().std() > 1


def test_the_end_reports_the_task_and_other_steps_nothing():
    env = mujoco.make_env("HalfCheetah-v5", max_episode_steps=3)
    assert env.reset(seed=0)[1] == {}
    infos = [env.step(np.zeros(6, np.float32))[4] for _ in range(3)]
    assert infos[:2] == [{}, {}]
    assert {"episode_return", "episode_length", "x_position"} <= set(infos[2])
