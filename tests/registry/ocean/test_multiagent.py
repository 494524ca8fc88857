"""Multiagent by hand, bare and in rows: who does what."""

import numpy as np
import pytest
from ocean_games import at_random, mean_score, play

from pufferlib.emulation import native
from pufferlib.exceptions import ArgumentError
from pufferlib.registry.ocean import make_env
from pufferlib.registry.ocean.multiagent import Multiagent


def test_each_agent_is_paid_for_its_own_number_whatever_the_order():
    env = Multiagent(players=3)
    observations, _ = env.reset(seed=0)
    assert {agent: row.tolist() for agent, row in observations.items()} == {
        "agent_0": [1, 0, 0],
        "agent_1": [0, 1, 0],
        "agent_2": [0, 0, 1],
    }
    _, rewards, terminations, truncations, infos = env.step(
        {"agent_2": 2, "agent_0": 1, "agent_1": 1}
    )
    assert rewards == {"agent_0": 0, "agent_1": 1, "agent_2": 1}
    assert infos == {"agent_0": {"score": 0}, "agent_1": {"score": 1}, "agent_2": {"score": 1}}
    assert terminations == dict.fromkeys(env.possible_agents, True)
    assert truncations == dict.fromkeys(env.possible_agents, False)
    assert env.agents == []


def test_a_row_is_its_agents_own():
    env = native(make_env("multiagent", players=3))
    observations, _ = env.reset(seed=0)
    for actions, due in (([0, 1, 2], [1, 1, 1]), ([1, 2, 0], [0, 0, 0]), ([0, 2, 2], [1, 0, 1])):
        np.testing.assert_array_equal(observations, np.eye(3))
        observations, rewards, terminals, _, infos = env.step(np.array(actions))
        assert rewards.tolist() == due
        assert terminals.all()
        assert [info["score"] for info in infos] == due
        assert [info["episode_return"] for info in infos] == due


def test_doing_ones_own_scores_one_and_anything_a_half():
    env = native(make_env("multiagent"))
    assert mean_score(play(env, lambda observations: observations.argmax(1), 10)) == 1
    # 4,000 games of deviation 0.5: a standard error of 0.008.
    assert mean_score(play(env, at_random(env), 2000)) == pytest.approx(1 / 2, abs=0.025)


def test_text_shows_what_each_agent_did():
    env = Multiagent()
    env.reset(seed=0)
    assert env.render() == "agent_0: _\nagent_1: _"
    env.step({"agent_0": 1, "agent_1": 1})
    assert env.render() == "agent_0: 1\nagent_1: 1"


def test_a_game_for_one_is_refused():
    with pytest.raises(ArgumentError, match="players must be a whole number of at least 2; got 1"):
        Multiagent(players=1)
