"""Box2D: a world forgets; CarRacing's frames are gray and stacked as asked."""

import gymnasium
import numpy as np
import pytest

from pufferlib.exceptions import ArgumentError
from pufferlib.registry import box2d


def walk(env, seed, steps=40):
    """Return what is observed over a fixed walk."""
    actions = np.random.default_rng(0).uniform(0, 1, (steps, *env.action_space.shape))
    found = [env.reset(seed=seed)[0]]
    found += [env.step(action.astype(np.float32))[0] for action in actions]
    return np.stack(found)


def test_the_tasks_are_gymnasiums():
    ours = "gymnasium.envs.box2d"
    listed = [name for name, spec in gymnasium.registry.items() if ours in str(spec.entry_point)]
    assert sorted(listed) == list(box2d.FAMILY.tasks)


def test_a_walker_seeded_again_walks_again():
    env = box2d.make_env("BipedalWalker-v3")
    first = walk(env, 7)
    np.testing.assert_array_equal(first, walk(env, 7))
    np.testing.assert_array_equal(first, walk(box2d.make_env("BipedalWalker-v3"), 7))
    assert not np.array_equal(first, walk(env, 8))


def test_a_new_world_has_the_gravity_of_the_old():
    env = box2d.make_env("BipedalWalker-v3")
    env.reset(seed=0)
    plain = gymnasium.make("BipedalWalker-v3").unwrapped.world
    assert env.unwrapped.world is not plain
    assert tuple(env.unwrapped.world.gravity) == tuple(plain.gravity) == (0, -10)


def test_the_first_episode_is_that_of_the_bare_walker():
    plain = gymnasium.make("BipedalWalker-v3", disable_env_checker=True)
    np.testing.assert_array_equal(walk(box2d.make_env("BipedalWalker-v3"), 3), walk(plain, 3))


def test_the_time_limit_truncates_and_reports():
    env = box2d.make_env(max_episode_steps=5)
    env.reset(seed=0)
    rewards = []
    for step in range(1, 6):
        _, reward, terminated, truncated, info = env.step(0)
        rewards.append(reward)
        assert (terminated, truncated) == (False, step == 5)
    assert info == {"episode_return": pytest.approx(sum(rewards)), "episode_length": 5}


def test_frames_are_gray_and_stacked_the_newest_last():
    plain, env = box2d.make_env("CarRacing-v3"), box2d.make_env("CarRacing-v3", None, True, 3)
    bare = walk(plain, 1, steps=6).reshape(-1, 96, 96, 3)
    found = walk(env, 1, steps=6).reshape(-1, 96, 96, 3)
    gray = bare @ np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
    for step in range(7):
        expected = gray[[max(step - 2, 0), max(step - 1, 0), step]].transpose(1, 2, 0)
        assert np.abs(found[step] - expected).max() < 1.5
    assert not np.array_equal(found[6][..., 0], found[6][..., 2])


def test_gray_is_refused_where_there_is_no_image():
    with pytest.raises(ArgumentError, match="for tasks that observe an image"):
        box2d.make_env("LunarLander-v3", gray=True)


def test_lunar_lander_simulates_particles_only_where_it_renders():
    counts = []
    for options in ({}, {"render_mode": "rgb_array"}):
        env = box2d.make_env("LunarLander-v3", **options)
        env.reset(seed=0)
        for _ in range(10):
            env.step(2)  # the main engine
        counts.append(len(env.unwrapped.particles))
    assert counts[0] == 0 < counts[1]


@pytest.mark.parametrize("name", ["LunarLander-v3", "CarRacing-v3"])
def test_it_renders_without_a_display(name):
    env = box2d.make_env(name, render_mode="rgb_array")
    env.reset(seed=0)
    assert env.render().shape == (400, 600, 3)
    assert env.render().std() > 1
