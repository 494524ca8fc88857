"""ViZDoom: nothing in the working directory, a last screen, ends told apart."""

import os
import select
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


@pytest.mark.timeout(120)
def test_the_screen_is_the_games_in_a_smaller_size(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    env, whole = family.make_env(), family.make_env(shrink=1)
    small = env.env.reset(seed=5)[0]["screen"]
    large = whole.env.reset(seed=5)[0]["screen"]
    expected = large.reshape(60, 2, 80, 2, 3).mean((1, 3))
    np.testing.assert_array_equal(small, np.floor(expected))
    np.testing.assert_array_equal(whole.render(), large)
    env.close()
    whole.close()
    assert os.listdir(tmp_path) == []


@pytest.mark.timeout(120)
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


@pytest.mark.timeout(120)
def test_what_is_told_at_the_end_is_of_the_end():
    env = family.make_env("VizdoomDefendCenter-v1")
    env.reset(seed=0)
    info = {}
    while not info:
        _, _, terminated, truncated, info = env.step(0)
    env.close()
    assert (terminated, truncated) == (True, False)
    assert info["health"] <= 0  # nobody defends the center


@pytest.mark.timeout(120)
def test_a_map_of_freedoom_seeded_again_is_played_again():
    env = family.make_env("VizdoomFreedoom1E1M1-S1-v0")
    still = np.zeros(env.action_space.shape, np.int8)

    def play():
        return [env.reset(seed=3)[0]] + [env.step(still)[0] for _ in range(3)]

    np.testing.assert_array_equal(play(), play())
    env.close()


@pytest.mark.timeout(60)
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
        assert select.select([end], [], [], 30)[0]
    finally:
        os.close(end)


def descendants_of(pid):
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def test_a_resolution_that_is_not_suggests_the_nearest():
    with pytest.raises(ArgumentError, match=r"no resolution '160x120'.*'160X120'"):
        family.make_env(resolution="160x120")
