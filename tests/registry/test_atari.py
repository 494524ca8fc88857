"""Atari: every game, the field's preprocessing, lives, and many games at once."""

import numpy as np
import pytest

from pufferlib.emulation import native
from pufferlib.exceptions import ArgumentError
from pufferlib.registry import atari
from pufferlib.testing import check_env

pytest.importorskip("ale_py")
CALM = {"noop_max": 0, "repeat_action_probability": 0.0}


def test_the_tasks_are_all_games_that_the_package_registers():
    import ale_py
    import gymnasium

    gymnasium.register_envs(ale_py)
    assert set(atari.FAMILY.tasks) == {name for name in gymnasium.registry if "ALE/" in name}


def reference(name, frame_stack=4, **kwargs):
    """Return Gymnasium's own preprocessing of a game."""
    import gymnasium
    from gymnasium.wrappers import AtariPreprocessing, FrameStackObservation

    env = gymnasium.make(name, frameskip=1, **kwargs)
    return FrameStackObservation(AtariPreprocessing(env), frame_stack)


@pytest.mark.parametrize(
    ("name", "kwargs"),
    [
        ("ALE/Breakout-v5", {}),
        ("ALE/Pong-v5", {"frame_stack": 1, "full_action_space": True}),
        ("ALE/Qbert-v5", {"frame_stack": 2, "repeat_action_probability": 0.0}),
    ],
)
def test_frames_rewards_and_ends_are_those_of_gymnasiums_wrappers(name, kwargs):
    ours, theirs = atari.make_env(name, **kwargs), reference(name, **kwargs)
    assert ours.observation_space.shape == theirs.observation_space.shape
    ours.action_space.seed(1)
    np.testing.assert_array_equal(ours.reset(seed=3)[0], theirs.reset(seed=3)[0])
    for _ in range(500):
        action = ours.action_space.sample()
        observation, *reported, _ = ours.step(action)
        expected, *expected_reported, _ = theirs.step(action)
        np.testing.assert_array_equal(observation, expected)
        assert reported == expected_reported
        if any(reported[1:]):
            np.testing.assert_array_equal(ours.reset()[0], theirs.reset()[0])


@pytest.mark.parametrize("name", ["ALE/Breakout-v5", "ALE/Qbert-v5"])
@pytest.mark.parametrize(
    "kwargs", [{}, {"episodic_life": True, "clip_rewards": True, "fire_on_reset": True}]
)
def test_many_games_play_as_one_does(name, kwargs):
    """Lives, games and their last observations are equal; the actions alone differ."""
    one, many = atari.make_env(name, **CALM, **kwargs), atari.make_env(name, 2, **CALM, **kwargs)
    one.action_space.seed(5)
    np.testing.assert_array_equal(many.reset(seed=0)[0][0], one.reset(seed=0)[0])
    assert many.masks.all()
    ends = 0
    for step in range(500):
        action = one.action_space.sample()
        observation, reward, terminated, truncated, info = one.step(action)
        _, _, _, _, infos = many.step(np.array([action, step % 3]))
        assert many.rewards[0] == reward
        assert (many.terminals[0], many.truncations[0]) == (terminated, truncated)
        if terminated or truncated:
            np.testing.assert_array_equal(many.final_observations[0], observation)
            observation, _ = one.reset()
            ends += 1
        np.testing.assert_array_equal(many.observations[0], observation)
        assert (info in infos) == bool(info)
    many.close()
    assert ends


def test_a_time_limit_truncates_every_game():
    one, many = (
        atari.make_env(max_frames=42, **CALM),
        atari.make_env(atari.FAMILY.default, 3, max_frames=42, **CALM),
    )
    one.reset(seed=0)
    many.reset(seed=0)
    for step in range(1, 12):
        reported = one.step(0)[2:4]
        infos = many.step(np.zeros(3, np.int64))[4]
        assert reported == (False, step == 11)  # 10 steps of 4 frames leave 2
        assert not many.terminals.any()
        assert (many.truncations == reported[1]).all()
    assert infos == [{"episode_return": 0.0, "episode_length": 11}] * 3
    many.close()


def test_a_lost_life_ends_an_episode_and_the_game_goes_on():
    env = atari.make_env(episodic_life=True, **CALM)
    lives, first, info = env.unwrapped.ale.lives, env.reset(seed=0)[0], {}
    env.action_space.seed(0)
    while not info:
        before = lives()
        observation, _, terminated, _, info = env.step(env.action_space.sample())
        assert terminated == (lives() < before)
        assert bool(info) == (terminated and lives() == 0)
        if terminated:
            again = env.reset()[0]
            np.testing.assert_array_equal(again, first if info else observation)
    assert lives() == 5


@pytest.mark.parametrize("num_envs", [None, 1])
@pytest.mark.parametrize("presses_fire", [True, False])
def test_the_ball_is_served_in_whole_games_if_fire_is_pressed(num_envs, presses_fire):
    env = native(atari.make_env("ALE/Breakout-v5", num_envs, fire_on_reset=presses_fire, **CALM))
    env.reset(seed=0)
    stay = np.array([0])
    infos = [info for _ in range(300) for info in env.step(stay)[-1]]
    assert bool(infos) == presses_fire  # a game over, five balls lost
    assert all(info["episode_length"] < 200 for info in infos)


@pytest.mark.parametrize("num_envs", [None, 1])
@pytest.mark.parametrize("presses_fire", [True, False])
def test_the_ball_is_served_in_each_life_if_fire_is_pressed(num_envs, presses_fire):
    kwargs = {"episodic_life": True, "fire_on_reset": presses_fire, **CALM}
    env = native(atari.make_env("ALE/Breakout-v5", num_envs, **kwargs))
    env.reset(seed=0)
    stay, left, lives = np.array([0]), np.array([3]), 0
    for _ in range(200):
        env.step(left if lives == 0 else stay)  # the paddle out of the way; who stays, never serves
        lives += int(env.terminals[0])
    # A ball that no one returns is lost in 20 to 30 steps, and a game has five.
    assert (lives >= 5) if presses_fire else (lives == 0)


def test_a_seed_starts_a_new_game_in_the_middle_of_one():
    env = atari.make_env(episodic_life=True)
    first = env.reset(seed=7)[0]
    for _ in range(50):
        observation, _, terminated, _, _ = env.step(1)
        if terminated:
            break
    assert terminated
    assert (observation != first).any()
    np.testing.assert_array_equal(env.reset(seed=7)[0], first)


@pytest.mark.parametrize("num_envs", [None, 2])
def test_the_return_is_the_games_own_whatever_the_learner_is_given(num_envs):
    actions = np.random.default_rng(0).integers(6, size=300)

    def play(clip_rewards):
        env = atari.make_env(
            "ALE/SpaceInvaders-v5", num_envs, clip_rewards=clip_rewards, max_frames=800
        )
        env.reset(seed=2)
        rewards, infos = [], []
        for step in range(300):
            action = int(actions[step])
            _, reward, _, _, info = env.step(action if num_envs is None else np.full(2, action))
            rewards.append(float(np.ravel(reward)[0]))
            infos += ([info] if info else []) if num_envs is None else info
            if info and num_envs is None:
                env.reset()
        env.close()
        return rewards, infos

    (rewards, infos), (clipped, clipped_infos) = play(False), play(True)
    assert infos == clipped_infos
    assert max(rewards) > 1
    assert clipped == [float(np.sign(reward)) for reward in rewards]
    if num_envs is None:
        assert infos[0]["episode_return"] == sum(rewards[: infos[0]["episode_length"]])
    assert infos


@pytest.mark.long
def test_many_games_keep_the_contract():
    from functools import partial

    check_env(partial(atari.make_env, "ALE/Pong-v5", num_envs=3, episodic_life=True))


def test_games_of_one_environment_differ_and_so_do_unseeded_ones():
    many, other = (atari.make_env("ALE/Qbert-v5", 4) for _ in range(2))
    first = many.reset(seed=1)[0].copy()
    assert len({frame.tobytes() for frame in first}) > 1  # no-ops
    assert (first != other.reset(seed=2)[0]).any()
    played = [
        env.step(np.zeros(4, np.int64))[0] for env in (many, other) if env.reset() is not None
    ]
    assert (played[0] != played[1]).any()
    many.close()
    other.close()


def test_the_screen_is_a_picture_without_a_display():
    env = atari.make_env(render_mode="rgb_array")
    env.reset(seed=0)
    assert env.render().shape == (210, 160, 3)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"frame_skip": 0}, "of at least 1; got 0"),
        ({"repeat_action_probability": 2}, r"in \[0, 1\]"),
        ({"num_envs": 0}, "num_envs must be a whole number of at least 1; got 0"),
        (
            {"num_threads": 2},
            "num_threads applies to native games; got num_threads=2 without num_envs",
        ),
        ({"mode": 99}, "ALE does not make ALE/Breakout-v5 with mode=99: Invalid game mode"),
        ({"num_envs": 2, "mode": 1}, "no mode=1. Leave out num_envs"),
        ({"num_envs": 2, "render_mode": "human"}, "no render_mode='human'. Leave out num_envs"),
        ({"frame_skip": 2.5}, "frame_skip must be a whole number of at least 1; got 2.5"),
        ({"max_frames": -3}, "max_frames must be a whole number of at least 1; got -3"),
        ({"noop_max": -1}, "noop_max must be a whole number of at least 0; got -1"),
    ],
)
def test_an_option_out_of_range_is_refused(kwargs, message):
    with pytest.raises(ArgumentError, match=message):
        atari.make_env(**kwargs)
