"""Memory by hand: what is shown, when it is asked for, what an answer earns."""

import numpy as np
import pytest
from ocean_games import at_random, mean_score, play

from pufferlib.exceptions import ArgumentError
from pufferlib.registry.ocean.memory import Memory


def test_bits_are_shown_then_nothing_then_answers_earn_their_share():
    env = Memory(num_agents=4, mem_length=2, mem_delay=1)
    observations, _ = env.reset(seed=0)
    bits = [observations[:, 0] > 0]
    observations, rewards, *_ = env.step(1 - bits[0])  # nothing is asked yet
    bits.append(observations[:, 0] > 0)
    assert not rewards.any()
    assert (np.abs(observations) == 1).all()
    for _ in range(2):  # the delay, and the step that asks for the first bit
        observations, rewards, terminals, *_ = env.step(np.zeros(4, np.int64))
        assert not rewards.any()
        assert not observations.any()
        assert not terminals.any()
    _, rewards, terminals, _, infos = env.step(bits[0].astype(np.int64))
    assert rewards.tolist() == [0.5] * 4
    assert not terminals.any()
    assert not infos
    answers = bits[1] ^ [False, False, False, True]  # the last game's is wrong
    observations, rewards, terminals, truncations, infos = env.step(answers.astype(np.int64))
    assert rewards.tolist() == [0.5, 0.5, 0.5, 0]
    assert terminals.all()
    assert not truncations.any()
    assert not env.final_observations.any()
    assert (np.abs(observations) == 1).all()  # the first bit of the next game
    assert [info["score"] for info in infos] == [1, 1, 1, 0]
    assert [info["episode_return"] for info in infos] == [1, 1, 1, 0.5]
    assert [info["episode_length"] for info in infos] == [5] * 4


def test_bits_are_drawn_again_for_every_game():
    env = Memory(num_agents=64)
    observations, _ = env.reset(seed=0)
    first = observations.copy()
    for _ in range(6):
        observations, *_ = env.step(np.zeros(64, np.int64))
    assert 0 < (first == observations).sum() < 64


def remembering(mem_length, mem_delay):
    """Return what remembers the bits it saw, and repeats them when asked."""
    length = 2 * mem_length + mem_delay
    seen = []

    def choose(observations):
        if len(seen) == length:
            seen.clear()
        seen.append((observations[:, 0] > 0).astype(np.int64))
        asked = len(seen) - 1 - mem_length - mem_delay
        return seen[max(0, asked)]

    return choose


@pytest.mark.parametrize(("mem_length", "mem_delay"), [(1, 0), (2, 2), (4, 7)])
def test_remembering_scores_one(mem_length, mem_delay):
    env = Memory(num_agents=20, mem_length=mem_length, mem_delay=mem_delay)
    infos = play(env, remembering(mem_length, mem_delay), 3 * (2 * mem_length + mem_delay))
    assert len(infos) == 60
    assert mean_score(infos) == 1


def test_without_memory_a_quarter_is_right_whatever_is_played():
    env = Memory(num_agents=100)
    # 20,000 games of deviation 0.43: a standard error of 0.003.
    for choose in (at_random(env), lambda observations: (observations[:, 0] >= 0).astype(np.int64)):
        assert mean_score(play(env, choose, 1200)) == pytest.approx(0.25, abs=0.01)


def test_text_shows_the_bits_so_far_and_the_answers():
    env = Memory(mem_length=2, mem_delay=0)
    observations, _ = env.reset(seed=0)
    first = int(observations[0, 0] > 0)
    assert env.render() == f"shown    {first}_\nanswered __"
    observations, *_ = env.step(np.array([0]))
    second = int(observations[0, 0] > 0)
    env.step(np.array([0]))
    env.step(np.array([1]))
    assert env.render() == f"shown    {first}{second}\nanswered 1_"


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"mem_length": 0}, "mem_length must be a whole number of at least 1; got 0"),
        ({"mem_delay": -1}, "mem_delay must be a whole number of at least 0; got -1"),
    ],
)
def test_a_memory_that_cannot_be_is_refused(arguments, match):
    with pytest.raises(ArgumentError, match=match):
        Memory(**arguments)
