"""ViZDoom: nothing in the working directory, a last screen, ends reported apart."""

import copy
import os
import select
import shutil
import subprocess
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import vizdoom.gymnasium_wrapper

from pufferlib.exceptions import ArgumentError
from pufferlib.registry import vizdoom as family


def test_the_tasks_are_the_packages_whose_files_are_there():
    package = vizdoom.gymnasium_wrapper.__name__
    specs = [s for s in gymnasium.registry.values() if str(s.entry_point).startswith(package)]
    listed = {spec.id for spec in specs if not spec.id.startswith("VizdoomDoom")}
    assert listed == set(family.FAMILY.tasks)
    bundled = os.listdir(os.path.join(os.path.dirname(vizdoom.__file__)))
    assert "doom2.wad" not in bundled  # its maps are left out
    assert "freedoom2.wad" in bundled


def test_the_screen_is_the_games_in_a_smaller_size(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    env, whole = (
        family.make_env(render_mode="rgb_array"),
        family.make_env(shrink=1, render_mode="rgb_array"),
    )
    small = env.env.reset(seed=5)[0]["screen"]
    large = whole.env.reset(seed=5)[0]["screen"]
    expected = large.reshape(60, 2, 80, 2, 3).mean((1, 3))
    np.testing.assert_array_equal(small, np.floor(expected))
    np.testing.assert_array_equal(whole.render(), large)
    env.close()
    whole.close()
    assert os.listdir(tmp_path) == []


def test_a_timeout_truncates_and_shows_the_screen_before():
    env = family.make_env(episode_timeout=20, frame_skip=4)
    env.reset(seed=0)
    ended, steps = False, 0
    while not ended:
        screen = env.unwrapped.state.screen_buffer.copy()
        observation, _, terminated, truncated, info = env.step(0)
        steps += 1
        ended = terminated or truncated
        assert bool(info) == ended
    assert (terminated, truncated) == (False, True)
    assert info["episode_length"] == steps <= 20 / 4
    assert info["ammo2"] == 50.0  # basic.wad gives 50 shots
    last = env.observation_layout.unflatten(observation)["screen"]
    expected = screen.reshape(60, 2, 80, 2, 3).mean((1, 3))
    np.testing.assert_array_equal(last, np.floor(expected))
    env.close()


def test_a_kill_on_the_last_step_allowed_terminates():
    def play(**kwargs):
        env, actions = family.make_env("VizdoomBasic-v1", **kwargs), np.random.default_rng(1)
        env.reset(seed=1)
        steps, ends = 0, (False, False)
        while not any(ends):
            _, reward, *ends, _ = env.step(int(actions.integers(4)))
            steps += 1
        env.close()
        return steps, reward > 50, *ends  # basic.wad gives about 100 for the monster

    steps, *end = play()
    assert end == [True, True, False]
    assert play(max_episode_steps=steps) == (steps, True, True, False)
    assert play(max_episode_steps=steps - 1) == (steps - 1, False, False, True)


def test_the_picture_of_the_last_step_is_the_one_before():
    env = family.make_env(
        episode_timeout=20,
        depth_buffer_enabled=True,
        labels_buffer_enabled=True,
        render_mode="rgb_array",
    )
    env.reset(seed=0)
    ended = False
    while not ended:
        picture = env.render()
        ended = any(env.step(0)[2:4])
    assert picture.shape == (120, 3 * 160, 3)  # screen, depth, labels
    np.testing.assert_array_equal(env.render(), picture)
    env.reset()
    assert (env.render() != picture).any()
    env.close()


def test_a_copy_leaves_its_files_elsewhere():
    env = family.make_env()
    first = env.reset(seed=0)[0].copy()
    other = copy.deepcopy(env)
    np.testing.assert_array_equal(other.reset(seed=0)[0], first)
    other.close()
    env.reset(seed=1)
    np.testing.assert_array_equal(env.reset(seed=0)[0], first)
    env.close()


def test_an_environment_is_made_again_from_its_spec():
    env = family.make_env(episode_timeout=40)
    again = gymnasium.make(env.spec, disable_env_checker=True)
    np.testing.assert_array_equal(again.reset(seed=4)[0], env.reset(seed=4)[0])
    env.close()
    again.close()


def test_what_is_reported_at_the_end_is_of_the_end():
    env = family.make_env("VizdoomDefendCenter-v1")
    env.reset(seed=0)
    info = {}
    while not info:
        _, _, terminated, truncated, info = env.step(0)
    env.close()
    assert (terminated, truncated) == (True, False)
    assert info["health"] <= 0  # no one defends the center


def test_a_map_of_freedoom_seeded_again_is_played_again():
    env = family.make_env("VizdoomFreedoom1E1M1-S1-v0")
    still = np.zeros(env.action_space.shape, np.int8)

    def play():
        return [env.reset(seed=3)[0]] + [env.step(still)[0] for _ in range(3)]

    np.testing.assert_array_equal(play(), play())
    env.close()


def test_nothing_of_a_game_stays_when_its_process_is_killed():
    script = """
import sys
from pufferlib.registry import vizdoom
env = vizdoom.make_env()
env.reset(seed=0)
env.reset()
print(env.unwrapped.game.get_state().number, flush=True)
sys.stdin.read()
"""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", script], **pipes) as process:
        try:
            assert process.stdout.readline()
            (engine,) = descendants_of(process.pid)
            end = os.pidfd_open(engine)  # can be read when it has ended
            maps = Path(f"/proc/{process.pid}/maps").read_text().splitlines()
        finally:
            process.kill()
    shared = [line for line in maps if "/dev/shm/ViZDoom" in line]
    assert shared
    assert all(line.endswith("(deleted)") for line in shared)
    try:
        assert select.select([end], [], [], 240)[0]
    finally:
        os.close(end)


def descendants_of(pid):
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def test_a_resolution_that_is_not_suggests_the_nearest():
    with pytest.raises(ArgumentError, match=r"no resolution '160x120'.*'160X120'"):
        family.make_env(resolution="160x120")


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"nonsense": 3}, "takes nonsense=3"),
        ({"episode_timeuot": 20}, "takes episode_timeuot=20.*'episode_timeout'"),
        ({"screen_resolution": "RES_160X120"}, "takes screen_resolution=.*'resolution'"),
        ({"doom_skill": "hard"}, "refuses doom_skill='hard'"),
        ({"doom_scenario_path": "mine.wad"}, r"no file 'mine\.wad'.*doom_scenario_path"),
        ({"doomGamePath": "mine.wad"}, r"no file 'mine\.wad'.*doomGamePath"),
        ({"scenario_config_file": "mine.cfg"}, r"no file 'mine\.cfg'.*scenario_config_file"),
    ],
)
def test_a_setting_that_is_none_is_refused(kwargs, message, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ArgumentError, match=message):
        family.make_env(**kwargs)
    assert capfd.readouterr() == ("", "")


def test_files_are_found_in_the_working_directory_and_in_the_package(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(Path(vizdoom.scenarios_path, "take_cover.wad"), "mine.wad")
    env = family.make_env(doom_scenario_path="mine.wad", doom_game_path="freedoom2.wad")
    expected = family.make_env(
        doom_scenario_path=Path(vizdoom.scenarios_path, "take_cover.wad"), doomSkill=5
    )
    np.testing.assert_array_equal(env.reset(seed=0)[0], expected.reset(seed=0)[0])
    env.close()
    expected.close()
    other = family.make_env(scenario_config_file="take_cover.cfg", max_episode_steps=1)
    assert other.unwrapped.game.get_doom_scenario_path().endswith("take_cover.wad")
    other.close()


def test_an_engine_of_ones_own_is_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    engine = Path(vizdoom.__file__).with_name("vizdoom")
    Path("mine").write_text(f'#!/bin/sh\ntouch "{tmp_path}/was run"\nexec "{engine}" "$@"\n')
    Path("mine").chmod(0o700)
    env = family.make_env(vizdoom_path="mine")
    env.reset(seed=0)
    env.close()
    assert Path("was run").exists()
