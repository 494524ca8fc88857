"""Password by hand: one string in all of them pays, and only at the end."""

import itertools

import numpy as np
import pytest
from ocean_games import at_random, mean_score, play

from pufferlib.exceptions import ArgumentError
from pufferlib.registry.ocean.password import Password

STRINGS = np.array(list(itertools.product((0, 1), repeat=5)))  # (32, 5)


def test_of_all_strings_one_pays_and_only_at_the_end():
    env = Password(num_agents=32)
    env.reset(seed=0)
    for tick in range(4):
        observations, rewards, terminals, _, infos = env.step(STRINGS[:, tick])
        assert (observations[:, : tick + 1] == 2 * STRINGS[:, : tick + 1] - 1).all()
        assert not observations[:, tick + 1 :].any()
        assert not rewards.any()
        assert not terminals.any()
        assert not infos
    observations, rewards, terminals, truncations, infos = env.step(STRINGS[:, 4])
    assert (env.final_observations == 2 * STRINGS - 1).all()
    assert not observations.any()
    assert terminals.all()
    assert not truncations.any()
    assert STRINGS[rewards == 1].tolist() == [env.password.tolist()]
    assert not rewards[rewards != 1].any()
    assert [info["score"] for info in infos] == rewards.tolist()
    assert {info["episode_length"] for info in infos} == {5}


def test_the_password_does_not_depend_on_instance_or_seed():
    passwords = []
    for seed in (0, 1):
        env = Password(password_length=20)
        env.reset(seed=seed)
        passwords.append(env.password.tolist())
    assert passwords[0] == passwords[1]
    assert 0 < sum(passwords[0]) < 20


def test_knowing_the_password_scores_one_and_guessing_one_in_32():
    env = Password(num_agents=100)

    def knowing(observations):
        tick = np.count_nonzero(observations[0])
        return np.full(100, env.password[tick])

    assert mean_score(play(env, knowing, 10)) == 1
    # 20,000 games of deviation 0.17: a standard error of 0.0012.
    assert mean_score(play(env, at_random(env), 1000)) == pytest.approx(1 / 32, abs=0.004)


def test_text_shows_the_guesses_so_far():
    env = Password(password_length=4)
    env.reset(seed=0)
    for bit in (1, 0):
        env.step(np.array([bit]))
    assert env.render() == "10__"


def test_a_password_without_bits_is_refused():
    with pytest.raises(
        ArgumentError, match="password_length must be a whole number of at least 1; got 0"
    ):
        Password(password_length=0)
