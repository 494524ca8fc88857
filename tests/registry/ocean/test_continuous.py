"""Continuous by hand: where a move leads, what it earns, and how a game ends."""

import numpy as np
import pytest
from ocean_games import at_random, mean_score, play

from pufferlib.exceptions import ArgumentError
from pufferlib.registry.ocean.continuous import Continuous


def straight(observations):
    """Return the largest moves straight to the targets."""
    way = observations[:, 2:] - observations[:, :2]
    return (way / np.maximum(np.abs(way).max(1, keepdims=True), 0.1)).astype(np.float32)


def test_a_game_begins_in_the_middle_with_a_target_at_distance_one():
    env = Continuous(num_agents=200)
    observations, _ = env.reset(seed=0)
    assert not observations[:, :2].any()
    np.testing.assert_allclose(np.hypot(*observations[:, 2:].T), 1, rtol=1e-6)
    assert (np.abs(observations[:, 2:].mean(0)) < 0.2).all()  # all around


def test_a_move_is_a_tenth_of_the_action_and_earns_what_it_comes_nearer():
    env = Continuous(num_agents=1)
    x, y = env.reset(seed=0)[0][0, 2:]
    observations, rewards, *_ = env.step(np.array([[0.5, -1.0]], np.float32))
    np.testing.assert_allclose(observations[0], [0.05, -0.1, x, y], rtol=1e-6)
    assert rewards[0] == pytest.approx(1 - np.hypot(x - 0.05, y + 0.1), abs=1e-6)
    observations, *_ = env.step(np.array([[-7.0, 7.0]], np.float32))  # as -1, 1
    np.testing.assert_allclose(observations[0, :2], [-0.05, 0.0], atol=1e-7)


def test_a_game_terminates_at_the_target_and_only_that_one_begins_again():
    env = Continuous(num_agents=2, radius=0.5)
    observations, _ = env.reset(seed=0)
    target, other = observations[:, 2:].copy()
    terminals, steps = np.zeros(2, np.bool_), 0
    while not terminals[0]:
        steps += 1
        actions = straight(observations)
        actions[1] = 0  # the other one stays
        observations, rewards, terminals, truncations, infos = env.step(actions)
        assert rewards[1] == 0
        assert not truncations.any()
    assert steps <= 5  # half of the way, at 0.1 a step or faster
    assert terminals.tolist() == [True, False]
    final = env.final_observations[0]
    np.testing.assert_array_equal(final[2:], target)
    last = np.hypot(*(final[2:] - final[:2]))
    assert last <= 0.5
    assert infos == [
        {"episode_return": pytest.approx(1 - last, abs=1e-6), "episode_length": steps, "score": 1}
    ]
    assert not observations[0, :2].any()
    assert (observations[0, 2:] != target).any()
    np.testing.assert_array_equal(observations[1, 2:], other)


def test_a_game_that_lasts_too_long_is_truncated():
    env = Continuous(num_agents=1, horizon=3)
    env.reset(seed=0)
    still = np.zeros((1, 2), np.float32)
    for _ in range(2):
        *_, terminals, truncations, infos = env.step(still)
        assert not terminals.any()
        assert not truncations.any()
        assert not infos
    *_, terminals, truncations, infos = env.step(still)
    assert truncations.all()
    assert not terminals.any()
    assert infos == [{"episode_return": 0, "episode_length": 3, "score": 0}]


def test_moving_straight_scores_one_within_ten_steps_and_random_moves_nothing():
    env = Continuous(num_agents=100)
    infos = play(env, straight, 40)
    assert mean_score(infos) == 1
    assert max(info["episode_length"] for info in infos) <= 10
    infos = play(env, at_random(env), 400)
    assert len(infos) >= 2000
    assert mean_score(infos) < 0.002  # about 0.0005 at most, by the reflection principle


def test_text_shows_the_agent_and_the_target():
    env = Continuous()
    x, y = env.reset(seed=0)[0][0, 2:]
    rows = env.render().splitlines()
    assert rows[5][10] == "@"
    assert rows[round(5 - 5 * y)][round(10 + 10 * x)] == "x"


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"radius": 0.0}, "radius must be above 0 and below 1; got 0.0"),
        ({"radius": 1.0}, "radius must be above 0 and below 1; got 1.0"),
        ({"horizon": 0}, "horizon must be a whole number of at least 1; got 0"),
    ],
)
def test_a_way_that_cannot_be_is_refused(arguments, match):
    with pytest.raises(ArgumentError, match=match):
        Continuous(**arguments)
