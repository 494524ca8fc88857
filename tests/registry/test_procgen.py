"""Procgen: its games, levels and ends, one by one and many at once."""

import subprocess
import sys
from functools import partial

import numpy as np
import pytest

from pufferlib.exceptions import ArgumentError
from pufferlib.registry import procgen
from pufferlib.testing import check_env

pytest.importorskip("gym3")
pytest.importorskip("cffi")
STAY, UP, RIGHT, RIGHT_UP = 4, 5, 7, 8
ENDING_SOON = ("procgen-coinrun-v0", "procgen-bigfish-v0")  # at random, within 1,200 steps


def package():
    """Return the package's own module, without what it prints."""
    from pufferlib.registry._procgen_env import _imported_without_gym

    with _imported_without_gym():
        import procgen.env
    return procgen.env


def test_the_tasks_are_the_games_of_the_package():
    assert list(procgen.FAMILY.tasks) == [f"procgen-{g}-v0" for g in package().ENV_NAMES]


@pytest.mark.parametrize("name", procgen.FAMILY.tasks)
def test_one_game_and_a_row_of_many_play_as_the_package_does(name):
    game = name.split("-")[1]
    theirs = package().ProcgenGym3Env(num=1, env_name=game, rand_seed=3, num_threads=0)
    one, many = procgen.make_env(name), procgen.make_env(name, num_envs=1)
    expected = theirs.observe()[1]["rgb"][0]
    np.testing.assert_array_equal(one.reset(seed=3)[0], expected)
    np.testing.assert_array_equal(many.reset(seed=3)[0][0], expected)
    one.action_space.seed(0)
    total, length, ends = 0.0, 0, 0
    for _ in range(1_200 if name in ENDING_SOON else 200):
        before, action = expected.copy(), one.action_space.sample()
        theirs.act(np.array([action]))
        rewards, observations, firsts = theirs.observe()
        expected, total, length = observations["rgb"][0], total + float(rewards[0]), length + 1
        observation, reward, terminated, truncated, info = one.step(action)
        infos = many.step(np.array([action]))[4]
        assert reward == many.rewards[0] == rewards[0]
        assert (terminated or truncated) == (many.terminals | many.truncations)[0] == firsts[0]
        assert infos == ([info] if info else [])
        np.testing.assert_array_equal(many.observations[0], expected)
        if firsts[0]:
            reported = theirs.get_info()[0]
            assert info == {
                "solved": float(reported["prev_level_complete"]),
                "level": reported["prev_level_seed"],
                "episode_return": total,
                "episode_length": length,
            }
            np.testing.assert_array_equal(observation, before)
            np.testing.assert_array_equal(many.final_observations[0], before)
            observation, total, length, ends = one.reset()[0], 0.0, 0, ends + 1
        np.testing.assert_array_equal(observation, expected)
    theirs.close()
    assert ends or name not in ENDING_SOON


@pytest.mark.parametrize("num_envs", [None, 2])
def test_the_games_own_time_limit_is_a_truncation(num_envs):
    env = procgen.make_env("procgen-maze-v0", num_envs)
    env.reset(seed=0)
    for step in range(1, 501):
        action = STAY if num_envs is None else np.full(num_envs, STAY)
        _, _, terminated, truncated, _ = env.step(action)
        assert not np.any(terminated)
        assert np.all(truncated) == np.any(truncated) == (step == 500)


@pytest.mark.parametrize("num_envs", [None, 16])
def test_the_time_limit_of_sequential_levels_is_of_a_level(num_envs):
    """Leaper pays where a level is completed, ends one after 500 steps, and is safe to begin in."""
    settings = {"distribution_mode": "easy", "use_sequential_levels": True}
    env = procgen.make_env("procgen-leaper-v0", num_envs, **settings)
    env.reset(seed=5)
    generator = np.random.default_rng(5)
    count = num_envs or 1
    steps, lengths = np.zeros(count, int), np.zeros(count, int)
    late_deaths = 0
    for _ in range(900):
        actions = np.where(steps < 300, STAY, generator.choice([STAY, UP], count))
        _, rewards, terminals, truncations, _ = env.step(actions if num_envs else actions[0])
        terminals, truncations = np.atleast_1d(terminals), np.atleast_1d(truncations)
        steps, lengths = steps + 1, lengths + 1
        is_over = terminals | truncations
        np.testing.assert_array_equal(truncations, is_over & (steps >= 500))
        late_deaths += (terminals & (lengths > 500)).sum()
        steps[is_over | np.atleast_1d(rewards > 0)] = 0
        lengths[is_over] = 0
        if num_envs is None and is_over[0]:
            env.reset()
    assert late_deaths


@pytest.mark.parametrize("name", procgen.FAMILY.tasks)
def test_the_time_limits_are_those_that_the_games_keep(name):
    """A game's saved state has the limit right before the seed of its level."""
    from pufferlib.registry._procgen_env import game_options, time_limit

    game = name.split("-")[1]
    mode = "memory" if game == "jumper" else "easy"
    theirs = package().ProcgenGym3Env(
        num=1, env_name=game, rand_seed=1, num_threads=0, distribution_mode=mode
    )
    seed = np.int32(theirs.get_info()[0]["level_seed"]).tobytes()
    limit = np.int32(time_limit(game_options(game, mode))).tobytes()
    state = theirs.get_state()[0]
    theirs.close()
    assert limit + seed in state


def test_games_that_no_one_closed_can_be_collected_while_others_are_made():
    from pufferlib.registry._procgen_env import _make_games, game_options

    games = _make_games(1, game_options("coinrun", "easy"), seed=0)
    with games._ffi._lock:  # as cffi holds it where it looks up a function of any game
        games.close()


def test_a_solved_level_is_reported_as_such():
    env = procgen.make_env(num_envs=32, distribution_mode="easy")
    env.reset(seed=0)
    actions = np.random.default_rng(0).choice([RIGHT, RIGHT_UP], (300, 32))
    infos = [info for row in actions for info in env.step(row)[4]]
    assert {info["solved"] for info in infos} == {0.0, 1.0}
    assert all((info["episode_return"] == 10) == info["solved"] for info in infos)


def test_a_reset_in_the_middle_starts_another_level():
    env = procgen.make_env(num_levels=0)
    first = env.reset(seed=1)[0]
    env.step(7)
    second = env.reset()[0]
    assert (second != first).any()
    np.testing.assert_array_equal(env.reset()[0], second)  # fresh already: nothing to start
    np.testing.assert_array_equal(env.reset(seed=1)[0], first)


def test_levels_are_drawn_from_those_asked_for():
    env = procgen.make_env("procgen-bigfish-v0", num_envs=64, num_levels=3, start_level=40)
    env.reset(seed=0)
    infos = [info for _ in range(400) for info in env.step(np.full(64, STAY))[4]]
    assert {info["level"] for info in infos} == {40, 41, 42}


def test_many_games_keep_the_contract():
    check_env(partial(procgen.make_env, "procgen-bigfish-v0", num_envs=3))


def test_a_large_picture_renders():
    env = procgen.make_env(render_mode="rgb_array")
    env.reset(seed=0)
    picture = env.render()
    assert (picture.shape, picture.dtype) == ((512, 512, 3), np.uint8)


def test_making_one_neither_needs_gym_nor_writes_anything():
    script = (
        "import sys; sys.modules['gym.spaces'] = None\n"
        "from pufferlib.registry import procgen\n"
        "procgen.make_env().reset(seed=0)\n"
        "assert 'gym' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "default", "-c", script],
        capture_output=True,
        check=True,
        timeout=240,
    )
    assert (done.stdout, done.stderr) == (b"", b"")


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"distribution_mode": "memory"}, r"must be one of easy, hard, exploration; got 'memory'"),
        ({"distribution_mode": "exploration", "num_levels": 3}, "Leave out num_levels"),
        ({"num_levels": -1}, "num_levels must be .* from 0 to 2147483647; got -1"),
        ({"num_levels": 1.5}, "num_levels must be a whole number .* got 1.5"),
        ({"num_levels": True}, "num_levels must be a whole number .* got True"),
        ({"start_level": 1.0}, "start_level must be a whole number .* got 1.0"),
        ({"start_level": 2**31}, "start_level must be .* to 2147483647; got 2147483648"),
        ({"start_level": 7}, "start_level=7 without num_levels.* Give both"),
        (
            {"start_level": 2**31 - 1, "num_levels": 10},
            r"must be at most 2147483647; got 2147483647 \+ 10",
        ),
        ({"num_threads": -1}, "num_threads must be .* from 0 .* got -1"),
        ({"num_envs": 0}, "num_envs must be a whole number from 1 .* got 0"),
        ({"num_envs": 2.5}, "num_envs must be a whole number from 1 .* got 2.5"),
        ({"use_bakgrounds": False}, "no option 'use_bakgrounds'. Did you mean 'use_backgrounds'"),
        ({"env_name": "maze"}, "no option 'env_name'"),
        ({"render_mode": "human"}, "None or 'rgb_array'"),
        ({"render_mode": "rgb_array", "num_envs": 2}, "None with num_envs"),
    ],
)
def test_arguments_that_the_game_does_not_take_are_refused(kwargs, message):
    with pytest.raises(ArgumentError, match=message):
        procgen.make_env(**kwargs)
