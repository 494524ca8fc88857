"""Bandit by hand: which arm pays, how much, and how noisily."""

import numpy as np
import pytest
from ocean_games import at_random, mean_score, play

from pufferlib.exceptions import ArgumentError
from pufferlib.registry.ocean.bandit import Bandit


def test_the_best_arm_pays_and_ends_the_game_as_any_other_does():
    env = Bandit(num_agents=3, num_actions=3, reward_scale=5.0, reward_noise=0.0, best_action=2)
    observations, _ = env.reset(seed=0)
    assert (observations == 1).all()
    observations, rewards, terminals, truncations, infos = env.step(np.array([0, 2, 1]))
    assert rewards.tolist() == [0, 5, 0]
    assert terminals.all()
    assert not truncations.any()
    assert (observations == 1).all()
    assert (env.final_observations == 1).all()
    assert infos[1] == {"episode_return": 5, "episode_length": 1, "score": 1}
    assert [info["score"] for info in infos] == [0, 1, 0]


def test_noise_is_added_to_what_every_arm_pays():
    env = Bandit(num_agents=20_000, reward_noise=2.0)
    env.reset(seed=0)
    _, rewards, *_ = env.step(np.arange(20_000) % 10)
    best = np.arange(20_000) % 10 == 1
    # Standard errors: 2 / sqrt(2,000) = 0.045 of the best arm, 2 / sqrt(18,000) = 0.015 of others.
    assert rewards[best].mean() == pytest.approx(1, abs=0.15)
    assert rewards[~best].mean() == pytest.approx(0, abs=0.05)
    assert rewards[~best].std() == pytest.approx(2, abs=0.05)


def test_the_best_arm_is_the_same_for_every_seed():
    env = Bandit(num_agents=10, reward_noise=0.0)
    for seed in range(5):
        env.reset(seed=seed)
        assert env.step(np.arange(10))[1].tolist() == [0, 1] + [0] * 8


def test_pulling_the_best_arm_scores_one_and_any_arm_a_tenth():
    env = Bandit(num_agents=100)
    assert mean_score(play(env, lambda observations: np.ones(100, np.int64), 10)) == 1
    # 20,000 games of deviation 0.3: a standard error of 0.002.
    assert mean_score(play(env, at_random(env), 200)) == pytest.approx(0.1, abs=0.007)


def test_text_shows_the_best_arm_and_the_one_pulled():
    env = Bandit(num_actions=3)
    env.reset(seed=0)
    assert env.render() == " .  *  . "
    env.step(np.array([2]))
    assert env.render() == " .  * [.]"


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"num_actions": 1}, "num_actions must be a whole number of at least 2; got 1"),
        (
            {"num_actions": 4, "best_action": 4},
            "best_action must be a whole number from 0 to 3; got 4",
        ),
        ({"reward_noise": -1}, "reward_noise must be a finite number of at least 0; got -1"),
        ({"reward_noise": np.nan}, "reward_noise must be a finite number of at least 0; got nan"),
        ({"reward_noise": np.inf}, "reward_noise must be a finite number of at least 0; got inf"),
        ({"reward_noise": "1"}, "reward_noise must be a finite number of at least 0; got '1'"),
    ],
)
def test_a_bandit_that_cannot_be_is_refused(arguments, match):
    with pytest.raises(ArgumentError, match=match):
        Bandit(**arguments)
