"""Squared by hand: where the agent is, what it earns, when a game ends."""

import numpy as np
import pytest
from ocean_games import at_random, mean_score, play

from pufferlib.exceptions import ArgumentError
from pufferlib.registry.ocean.squared import Squared
from pufferlib.testing import check_env

UP_LEFT, UP, UP_RIGHT, LEFT, RIGHT, DOWN_LEFT, DOWN, DOWN_RIGHT = range(8)


def targets_of(env):
    """Return the (row, column) of each game's target."""
    side = env.side
    return [divmod(int(np.flatnonzero(row == 1)[0]), side) for row in env.observations]


def toward(start, target):
    """Return the direction from one cell to another, as an index of the eight."""
    signs = [
        (-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1),
    ]  # fmt: skip
    row, column = (int(np.sign(t - s)) for s, t in zip(start, target, strict=True))
    return signs.index((row, column))


def test_many_games_keep_the_contract():
    check_env(Squared, num_agents=5, num_targets=2)


def test_a_game_begins_with_the_agent_in_the_middle_and_targets_on_the_edge():
    env = Squared(num_agents=50, distance_to_target=2, num_targets=3)
    env.reset(seed=0)
    grids = env.observations.reshape(50, 5, 5)
    assert (grids[:, 2, 2] == -1).all()
    assert ((grids == 1).sum((1, 2)) == 3).all()
    assert not grids[:, 1:4, 1:4].clip(0).any()


def test_walking_straight_hits_every_target_and_scores_one():
    env = Squared(num_agents=20, distance_to_target=3)
    env.reset(seed=0)
    targets = targets_of(env)
    positions = [(3, 3)] * 20
    total = np.zeros(20)
    for _ in range(3):
        actions = [toward(p, t) for p, t in zip(positions, targets, strict=True)]
        moves = np.array([(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)])
        positions = [tuple(np.add(p, moves[a])) for p, a in zip(positions, actions, strict=True)]
        _, rewards, terminals, _, infos = env.step(np.array(actions))
        total += rewards
    # Distances 2, 1, 0 of 3: rewards 1/3, 2/3, 1.
    np.testing.assert_allclose(total, 2.0, rtol=1e-6)
    assert terminals.all()
    assert [info["score"] for info in infos] == [1.0] * 20
    assert [info["episode_length"] for info in infos] == [3] * 20


def test_walking_away_earns_less_and_scores_nothing():
    env = Squared(num_agents=20, distance_to_target=3)
    env.reset(seed=0)
    for _ in range(3):
        opposite = [7 - toward((3, 3), t) for t in targets_of(env)]
        _, rewards, _, _, infos = env.step(np.array(opposite))
    np.testing.assert_allclose(rewards, -1.0)  # twice the distance away
    assert [info["score"] for info in infos] == [0.0] * 20


def test_a_random_walk_seldom_meets_the_target():
    env = Squared(num_agents=1000)
    # 50,000 games of deviation 0.092: a standard error of 0.0004.
    score = mean_score(play(env, at_random(env), 150))
    assert score == pytest.approx(104 / 512 / 24, abs=0.0013)


def test_a_game_that_ends_shows_its_last_observation_and_the_first_of_the_next():
    env = Squared(num_agents=1, distance_to_target=1)
    env.reset(seed=0)
    target = targets_of(env)[0]
    env.step(np.array([toward((1, 1), target)]))
    final = env.final_observations[0].reshape(3, 3)
    assert (final == 1).sum() == 0  # hit
    assert final[1, 1] == -1  # and put back into the middle
    assert (env.observations[0] == 1).sum() == 1  # a new target


def test_text_shows_the_agent_and_the_target():
    env = Squared(distance_to_target=1)
    env.reset(seed=0)
    text = env.render()
    assert text.count("@") == text.count("x") == 1
    assert text.splitlines()[1][1] == "@"


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (
            {"distance_to_target": 0},
            "distance_to_target must be a whole number of at least 1; got 0",
        ),
        (
            {"distance_to_target": 1, "num_targets": 9},
            "num_targets must be a whole number from 1 to 8; got 9",
        ),
        ({"num_targets": 0}, "got 0"),
        ({"num_agents": "3"}, "num_agents must be a whole number of at least 1; got '3'"),
        ({"num_agents": 2.0}, r"num_agents must be a whole number of at least 1; got 2\.0"),
    ],
)
def test_a_square_that_cannot_be_is_refused(arguments, match):
    with pytest.raises(ArgumentError, match=match):
        Squared(**arguments)
