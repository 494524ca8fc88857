"""Stochastic by hand: what an action earns after those before it, and what a frequency scores."""

import numpy as np
import pytest
from ocean_games import at_random, mean_score, play

from pufferlib.exceptions import ArgumentError
from pufferlib.registry.ocean.stochastic import Stochastic


def test_an_action_earns_by_how_often_zero_was_played_before():
    env = Stochastic(num_agents=1, p=0.7, horizon=4)
    observations, _ = env.reset(seed=0)
    # -(a - 0.7) * (f - 0.7), where f is 0.7 at first, then 1/1, 2/2, 2/3.
    for action, due in ((0, 0.0), (0, -0.3 * 0.3), (1, 0.7 * 0.3), (0, -0.3 * (2 / 3 - 0.7))):
        assert (observations == 1).all()
        observations, rewards, terminals, truncations, infos = env.step(np.array([action]))
        assert rewards[0] == pytest.approx(due, abs=1e-7)
    assert terminals.all()
    assert not truncations.any()
    assert (observations == 1).all()
    assert (env.final_observations == 1).all()
    # 3 of 4: 0.05 off, and the better policy that always does the same is 0.3 off.
    assert infos == [
        {
            "episode_return": pytest.approx(-0.09 + 0.21 + 0.01),
            "episode_length": 4,
            "score": pytest.approx(1 - (0.05 / 0.3) ** 2),
        }
    ]
    assert env.step(np.array([1]))[1][0] == 0  # a new game: nothing was played before


@pytest.mark.parametrize(("action", "reward"), [(0, -(0.3**2)), (1, -(0.7**2))])
def test_always_doing_the_same_scores_nothing_and_is_punished(action, reward):
    env = Stochastic(num_agents=2)
    infos = play(env, lambda observations: np.full(2, action), 200)
    assert len(infos) == 4
    for info in infos:
        assert info["score"] == pytest.approx(0)
        assert info["episode_return"] == pytest.approx(99 * reward)


def drawing(probability, games):
    """Return what plays action 0 with a probability."""
    random = np.random.default_rng(0)
    return lambda observations: (random.random(games) >= probability).astype(np.int64)


@pytest.mark.parametrize(
    ("probability", "score"),
    [
        (0.7, 1 - 0.7 * 0.3 / (100 * 0.3**2)),  # 0.977
        (0.6, 1 - (0.1**2 + 0.6 * 0.4 / 100) / 0.3**2),  # 0.862
    ],
)
def test_scores_and_returns_follow_from_the_probability(probability, score):
    infos = play(Stochastic(num_agents=1000), drawing(probability, 1000), 1000)
    assert mean_score(infos) == pytest.approx(score, abs=0.005)
    mean_return = np.mean([info["episode_return"] for info in infos])
    # Each step's reward has a deviation of at most 0.1 or so: 0.03 of a return's mean.
    assert mean_return == pytest.approx(-99 * (probability - 0.7) ** 2, abs=0.05)


def test_a_random_policy_scores_about_a_half():
    env = Stochastic(num_agents=1000)
    # 1 - (0.2**2 + 0.25 / 100) / 0.3**2, and a little for games that would score less than 0.
    score = mean_score(play(env, at_random(env), 1000))
    assert score == pytest.approx(0.528, abs=0.01)


def test_text_shows_how_often_zero_was_played():
    env = Stochastic()
    env.reset(seed=0)
    for action in (0, 1, 0):
        env.step(np.array([action]))
    assert env.render() == "action 0: 2 of 3, due 70%"


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"p": 0.0}, "p must be above 0 and below 1; got 0.0"),
        ({"p": 1.0}, "p must be above 0 and below 1; got 1.0"),
        ({"horizon": 0}, "horizon must be a whole number of at least 1; got 0"),
    ],
)
def test_a_frequency_that_cannot_be_is_refused(arguments, match):
    with pytest.raises(ArgumentError, match=match):
        Stochastic(**arguments)
