"""The sides of a game."""

from contextlib import closing

import numpy as np
import pytest

from pufferlib import registry, vector
from pufferlib.exceptions import ArgumentError
from pufferlib.selfplay.sides import agent_names, side_returns, sides_of

BATTLE = ["red_0", "red_1", "blue_0", "blue_1", "blue_2"]


@pytest.mark.parametrize(
    ("agents", "rule", "expected"),
    [
        (["player_0", "player_1"], "auto", (0, 1)),
        (["black_0", "white_0"], "auto", (0, 1)),
        (BATTLE, "auto", (0, 0, 1, 1, 1)),
        (BATTLE, "agents", (0, 1, 2, 3, 4)),
        (["adversary_0", "agent_0", "agent_1"], "auto", (0, 1, 1)),
        (["north", "east", "south"], "auto", (0, 1, 2)),
        (["cat1", "cat2", "dog1"], "teams", (0, 0, 1)),
    ],
)
def test_sides_are_agents_or_teams(agents, rule, expected):
    assert sides_of(agents, rule) == expected


@pytest.mark.parametrize(("agents", "rule"), [(["agent_0"], "auto"), (["a_0", "a_1"], "teams")])
def test_one_side_is_refused(agents, rule):
    with pytest.raises(ArgumentError, match="two sides or more"):
        sides_of(agents, rule)


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("open_spiel/tic_tac_toe", ["player_0", "player_1"]),
        ("multiagent", ["agent_0", "agent_1"]),  # a PufferEnv, whose agents have no names
        ("squared", ["agent_0"]),  # each of its agents is a game
        ("CartPole-v1", ["agent_0"]),
    ],
)
def test_agents_are_named_by_their_rows(task, expected):
    source = registry.resolve(task)
    creator = source.creator({})
    with closing(vector.make(creator, backend=vector.Serial, num_envs=2)) as vecenv:
        assert agent_names(vecenv) == expected


def test_the_return_of_a_side_is_the_mean_of_its_agents_that_took_part():
    returns, took_part = np.array([4.0, 2.0, 0.0, 3.0]), np.array([True, True, False, False])
    assert side_returns(returns, took_part, np.array([0, 0, 0, 1])) == [3.0, 0.0]
