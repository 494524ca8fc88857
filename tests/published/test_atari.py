"""Atari has the infos of 1.0 by its published path, and only there."""

import pickle

import numpy as np
import pufferlib.environments.atari as published
import pytest

from pufferlib import vector
from pufferlib.registry import atari

pytest.importorskip("ale_py")
SHORT = {"max_frames": 42, "noop_max": 0, "repeat_action_probability": 0.0}  # 11 steps, 5 lives


def test_a_game_that_is_over_has_an_episode_and_its_lives():
    env = pickle.loads(pickle.dumps(published.env_creator("ALE/Breakout-v5")))(**SHORT)
    env.reset(seed=0)
    infos = [env.step(0)[4] for _ in range(11)]
    assert infos[:-1] == [{}] * 10
    episode = {"r": 0.0, "l": 11}
    expected = {"episode_return": 0.0, "episode_length": 11, "episode": episode, "lives": 5}
    assert infos[-1] == expected


def test_gymnasiums_statistics_of_a_game_are_its_own():
    import gymnasium

    env = gymnasium.wrappers.RecordEpisodeStatistics(atari.make_env(**SHORT))
    env.reset(seed=0)
    infos = [env.step(0)[4] for _ in range(11)]
    assert (infos[-1]["episode"]["r"], infos[-1]["episode"]["l"]) == (0.0, 11)
    assert infos[-1]["episode_length"] == 11


@pytest.mark.parametrize("num_envs", [None, 1])
@pytest.mark.parametrize("autoreset", ["same_step", "next_step", "disabled"])
def test_gymnasiums_statistics_of_vectorized_games_are_theirs(autoreset, num_envs):
    from gymnasium.wrappers.vector import RecordEpisodeStatistics

    kwargs = SHORT | ({} if num_envs is None else {"num_envs": num_envs})
    made = vector.make(atari.make_env, env_kwargs=kwargs, num_envs=2, autoreset=autoreset)
    envs = RecordEpisodeStatistics(vector.to_gymnasium(made))
    envs.reset(seed=0)
    for _ in range(11):
        infos = envs.step(np.zeros(2, np.int64))[4]
    assert infos["episode"]["l"].tolist() == [11, 11]
    envs.close()
