"""Griddly: the package's own games, whose observations stay as they were and whose seeds hold."""

import re

import numpy as np
import pytest
import torch

from pufferlib.exceptions import ArgumentError
from pufferlib.registry import griddly
from pufferlib.testing import check_env

LEFT, UP, RIGHT, DOWN = 1, 2, 3, 4  # of GVGAI's games
BUTTERFLIES, FORAGERS = "GDY-Butterflies-and-Spiders-v0", "GDY-Foragers-v0"


def test_importing_the_package_says_nothing(capfd):
    griddly.make_env().close()
    assert capfd.readouterr() == ("", "")


def test_the_tasks_are_those_that_the_package_registers():
    griddly.make_env().close()
    import gym

    registered = {name for name in gym.envs.registry if name.startswith("GDY-")}
    assert set(griddly.FAMILY.tasks) == registered


@pytest.mark.parametrize("task", griddly.FAMILY.samples[1:])
def test_a_sample_keeps_the_contract(task):
    check_env(griddly.env_creator(task))


def test_the_game_is_that_of_the_package():
    import gym

    ours = griddly.make_env("GDY-Zelda-v0")
    ours.reset(seed=5)
    from griddly import GymWrapper

    theirs = GymWrapper(gym.envs.registry["GDY-Zelda-v0"].kwargs["yaml_file"])
    theirs.game.seed(int(np.random.default_rng(5).integers(2**31 - 1)))
    expected = theirs.reset()
    observation = ours.reset(seed=5)[0]
    random = np.random.default_rng(0)
    for _ in range(200):
        np.testing.assert_array_equal(ours.observation_layout.unflatten(observation), expected)
        action = random.integers([2, 5])
        observation, reward, terminated, *_ = ours.step(action)
        expected, expected_reward, is_over, _ = theirs.step(action)
        assert (reward, terminated) == (expected_reward, is_over)
        if is_over:
            break


@pytest.mark.parametrize("task", [BUTTERFLIES, FORAGERS])
def test_a_seed_gives_its_game_and_the_next_one(task):
    def play(env, seed):
        """Return observations over a reset in the middle."""
        found = [env.reset(seed=seed)[0]]
        for _ in range(2):
            for _ in range(15):
                if task == FORAGERS:
                    actions = {agent: np.array([1, RIGHT]) for agent in env.agents}
                    found.append(env.step(actions)[0])
                else:
                    found.append(env.step(0)[0])
            found.append(env.reset()[0])
        return found

    env = griddly.make_env(task)
    first = play(env, 1)
    np.testing.assert_equal(play(env, 1), first)
    np.testing.assert_equal(play(griddly.make_env(task), 1), first)

    if task == BUTTERFLIES:  # which fly at random, elsewhere in the second game
        assert not np.array_equal(first[:16], first[16:32])
        assert not np.array_equal(first, play(env, 2))


def test_a_win_terminates_and_is_reported():
    env = griddly.make_env("GDY-Bait-v0")
    env.reset(seed=0)
    random = np.random.default_rng(0)  # reaches the goal by chance
    for _ in range(1000):
        _, _, terminated, truncated, info = env.step(int(random.integers(5)))
        if terminated or truncated:
            break
        assert info == {}
    assert (terminated, truncated) == (True, False)
    assert info["win"] is True


def test_time_truncates_one_player_and_several():
    env = griddly.make_env(max_steps=3)
    env.reset(seed=0)
    steps = [env.step(0)[2:4] for _ in range(3)]
    assert steps == [(False, False), (False, False), (False, True)]
    env = griddly.make_env(FORAGERS, max_steps=2)
    env.reset(seed=0)
    nothing = {agent: np.array([0, 0]) for agent in env.agents}
    assert len(nothing) == 4
    assert list(env.step(nothing)[4].values()) == [{}] * 4
    _, _, terminations, truncations, infos = env.step(nothing)
    assert (set(terminations.values()), set(truncations.values())) == ({False}, {True})
    assert env.agents == []
    assert {info["episode_length"] for info in infos.values()} == {2}
    assert {info["win"] for info in infos.values()} == {False}


def test_an_observation_stays_as_it_was():
    env = griddly.make_env(BUTTERFLIES).unwrapped
    first, _ = env.reset(seed=0)
    kept = first.copy()
    moved = [env.step(RIGHT)[0] for _ in range(2)]
    np.testing.assert_array_equal(first, kept)
    assert any(not np.array_equal(later, kept) for later in moved)


def test_the_policy_takes_planes_for_planes_however_small_the_level():
    env = griddly.make_env("GDY-Bait-v0")  # 5 x 6 cells, and more planes than that
    assert env.unwrapped.observation_space.shape == (7, 5, 6)
    grid = env.observation_layout.unflatten(env.reset(seed=0)[0])
    assert griddly.Policy(env).cells(torch.tensor(grid)[None]).shape[2:] == (5, 6)


def test_the_level_is_drawn_in_colors():
    env = griddly.make_env(render_mode="rgb_array")
    env.reset(seed=0)
    picture = env.render()
    assert (picture.shape, picture.dtype) == ((90, 130, 3), np.uint8)  # 13 x 9 cells of 10
    planes = env.observation_layout.unflatten(env.reset(seed=0)[0])
    kinds = planes.any((1, 2)).sum() + (not planes.any(0).all())
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) == kinds > 2
    assert (picture[5, 5] == picture[5, 125]).all()  # corners: walls
    assert griddly.make_env(render_mode=None).render() is None


@pytest.mark.parametrize("level", [6, -1, 1.0, 1.5, "1", True, None])
def test_a_level_that_is_none_is_refused(level):
    said = f"level of GDY-Sokoban-v0 must be a whole number from 0 to 5; got {level!r}"
    with pytest.raises(ArgumentError, match=re.escape(said)):
        griddly.make_env(level=level)


def test_less_than_one_step_is_refused():
    with pytest.raises(
        ArgumentError, match=r"max_steps must be a whole number of at least 1; got 0"
    ):
        griddly.make_env(max_steps=0)
