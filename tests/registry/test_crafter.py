"""Crafter: seeds that hold, ends, and what is reported of achievements."""

import subprocess
import sys

import gymnasium
import numpy as np
import pytest

from pufferlib.exceptions import ArgumentError
from pufferlib.registry import crafter

pytest.importorskip("crafter")


def play(env, seed, steps):
    """Return the observations and rewards of an episode after another."""
    env.action_space.seed(seed)
    seen = [env.reset(seed=seed)[0]]
    rewards = []
    for _ in range(steps):
        observation, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        if terminated or truncated:
            observation, _ = env.reset()
        seen.append(observation)
        rewards.append(reward)
    return np.stack(seen), rewards


def test_the_tasks_are_those_that_the_package_registers():
    script = (
        "import warnings; warnings.simplefilter('ignore')\n"
        "import crafter, gym\n"
        "print(*sorted(n for n in gym.envs.registry if n.startswith('Crafter')))"
    )
    pytest.importorskip("gym")
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, text=True, timeout=240
    )
    assert done.stdout.split() == list(crafter.FAMILY.tasks)


def test_a_seed_gives_the_same_game_in_any_instance_and_in_the_same_again():
    env = crafter.make_env()
    first, rewards = play(env, 4, 300)
    for other in (crafter.make_env(), env):  # objects at other addresses
        again, again_rewards = play(other, 4, 300)
        np.testing.assert_array_equal(again, first)
        assert again_rewards == rewards
    assert (play(env, 5, 0)[0] != first[0]).any()


def test_unseeded_instances_differ():
    first, second = (crafter.make_env().reset()[0] for _ in range(2))
    assert (first != second).any()


def test_a_picture_does_not_change_the_game():
    quiet, seen = (crafter.make_env(render_mode="rgb_array") for _ in range(2))
    assert (quiet.reset(seed=1)[0] == seen.reset(seed=1)[0]).all()
    for _ in range(20):
        for env in (quiet, seen):
            env.unwrapped._game._step = 290  # night, whose noise is drawn at random
        assert seen.render().shape == (512, 512, 3)
        np.testing.assert_array_equal(quiet.step(6)[0], seen.step(6)[0])


def test_a_picture_needs_a_reset_first():
    with pytest.raises(gymnasium.error.ResetNeeded, match=r"call reset\(\) before render\(\)"):
        crafter.make_env(render_mode="rgb_array").render()
    assert crafter.make_env(render_mode=None).render() is None


def test_an_image_may_be_wider_than_high():
    env = crafter.make_env(size=(96, 64))
    assert env.env.observation_space.shape == (64, 96, 3)
    image = env.observation_layout.unflatten(env.reset(seed=0)[0])
    from crafter import Env  # once ours has kept it from importing gym

    np.testing.assert_array_equal(image, Env(size=(96, 64), seed=0).reset())


def test_a_time_limit_truncates_and_death_terminates():
    env = crafter.make_env(length=5)
    env.reset(seed=0)
    reported = [env.step(0)[2:4] for _ in range(5)]
    assert reported == [(False, False)] * 4 + [(False, True)]
    env.reset()
    env.unwrapped._game._player.health = 0
    assert env.step(0)[2:4] == (True, False)


def test_the_end_reports_each_achievement_and_other_steps_nothing():
    env = crafter.make_env(length=40)
    env.reset(seed=0)
    game, rewards = env.unwrapped._game, []
    for step in range(40):
        if step == 7:
            game._player.achievements["collect_wood"] = 3
        _, reward, _, truncated, info = env.step(0)
        rewards.append(reward)
        assert bool(info) == truncated
    reported = {key: value for key, value in info.items() if key.startswith("achievement_")}
    assert len(reported) == 22
    assert {key for key, value in reported.items() if value} >= {"achievement_collect_wood"}
    assert set(reported.values()) <= {0.0, 1.0}
    assert info["achievements"] == sum(reported.values())
    assert max(rewards) == 1  # once, for wood
    assert (info["episode_length"], info["episode_return"]) == (40, pytest.approx(sum(rewards)))


def test_without_reward_the_game_is_the_same():
    seen, rewards = play(crafter.make_env(), 2, 100)
    same, none = play(crafter.make_env("CrafterNoReward-v1"), 2, 100)
    np.testing.assert_array_equal(seen, same)
    assert any(rewards)
    assert not any(none)


@pytest.mark.parametrize("reward", [False, True])
def test_whether_there_is_a_reward_is_said_by_the_task(reward):
    with pytest.raises(ArgumentError, match=rf"reward={reward}.*CrafterReward-v1 or CrafterNoRew"):
        crafter.make_env(reward=reward)


def test_the_score_is_the_geometric_mean_of_the_paper():
    assert crafter.score([0.0] * 22) == pytest.approx(0)
    assert crafter.score([1.0] * 22) == pytest.approx(100)
    assert crafter.score([0.0, 0.03]) == pytest.approx(1.0)  # sqrt(1 * 4) - 1
