"""Each team acts as one agent: joint observations, summed rewards, one end."""

import copy

import numpy as np
import pettingzoo
import pytest
from environments import Countdown, Mixed, Population
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Tuple
from spaces_cases import assert_agree

from pufferlib.emulation import PettingZooPufferEnv, native
from pufferlib.exceptions import ArgumentError, SpaceError
from pufferlib.testing import check_env
from pufferlib.wrappers import EqualSpaceTeams, Teams

TEAMS = {"crowd": ["ant_0", "ant_1"], "pair": ["bee_0", "cow_0"]}
ANT = Dict(clock=Box(0, 999, (2,), np.int32), luck=Box(0, 1, (), np.float32), place=Discrete(4))
BEE = Tuple((Box(5, 999, (3,), np.float32), MultiBinary(1)))
NO_ANT = {"clock": np.zeros(2, np.int32), "luck": np.array(0, np.float32), "place": np.int64(0)}
STEER = np.array([0.5, -1], np.float32)
ACTIONS = {"crowd": (1, 2), "pair": (np.array([1, 2]), STEER)}


def member(observation):
    return {"observation": observation, "present": 1}


ABSENT = {"observation": NO_ANT, "present": 0}


def joint(shown, *agents):
    """Return the expected observation of a team, where None is an absent ant or cow."""
    return tuple(ABSENT if agent is None else member(shown[agent]) for agent in agents)


def test_a_teams_spaces_are_tuples_over_its_members():
    env = Teams(Mixed(), TEAMS)
    assert env.possible_agents == ["crowd", "pair"]
    assert env.teams == TEAMS
    ant, bee = (Dict(observation=space, present=Discrete(2)) for space in (ANT, BEE))
    assert env.observation_space("crowd") == Tuple((ant, ant))
    assert env.observation_space("pair") == Tuple((bee, ant))
    assert env.action_space("crowd") == Tuple((Discrete(5, start=-2), Discrete(5, start=-2)))
    assert env.action_space("pair") == Tuple((MultiDiscrete([2, 3]), Box(-1, 1, (2,))))


def test_an_episode_equals_that_of_the_bare_environment_team_by_team():
    env, bare = Teams(Mixed(), TEAMS), Mixed()
    for _ in range(2):
        observations, infos = env.reset(seed=3)
        shown, _ = bare.reset(seed=3)
        crowd, pair = joint(shown, "ant_0", None), joint(shown, "bee_0", "cow_0")
        assert_agree(observations, {"crowd": crowd, "pair": pair})
        assert infos == {
            "crowd": {"ant_0": {"begins": 1}},
            "pair": {"bee_0": {"begins": 1}, "cow_0": {"begins": 1}},
        }
        assert env.agents == ["crowd", "pair"]

        # Step 1: the first ant dies, with a last observation; the second has yet to join. Rewards
        # are 10 x step + place in possible_agents: ant_0, bee_0, ant_1, cow_0.
        observations, rewards, terminations, truncations, infos = env.step(ACTIONS)
        shown, *_ = bare.step({})
        crowd, pair = joint(shown, "ant_0", None), joint(shown, "bee_0", "cow_0")
        assert_agree(observations, {"crowd": crowd, "pair": pair})
        assert rewards == {"crowd": 10, "pair": 11 + 13}
        assert terminations == truncations == {"crowd": False, "pair": False}
        assert infos == {"crowd": {"ant_0": {"left": "ant_0"}}, "pair": {}}
        assert env.agents == ["crowd", "pair"]

        # Step 2: the second joins, the cow terminates.
        observations, rewards, terminations, truncations, infos = env.step(ACTIONS)
        shown, *_ = bare.step({})
        crowd, pair = joint(shown, None, "ant_1"), joint(shown, "bee_0", "cow_0")
        assert_agree(observations, {"crowd": crowd, "pair": pair})
        assert rewards == {"crowd": 22, "pair": 21 + 23}
        assert terminations == truncations == {"crowd": False, "pair": False}
        assert infos == {"crowd": {}, "pair": {"cow_0": {"left": "cow_0"}}}
        assert env.agents == ["crowd", "pair"]

        # Step 3: both ants have terminated; of the pair one was truncated.
        observations, rewards, terminations, truncations, infos = env.step(ACTIONS)
        shown, *_ = bare.step({})
        crowd, pair = joint(shown, None, "ant_1"), joint(shown, "bee_0", None)
        assert_agree(observations, {"crowd": crowd, "pair": pair})
        assert rewards == {"crowd": 32, "pair": 31}
        assert (terminations, truncations) == (
            {"crowd": True, "pair": False},
            {"crowd": False, "pair": True},
        )
        assert infos == {
            "crowd": {"ant_1": {"left": "ant_1"}},
            "pair": {"bee_0": {"left": "bee_0"}},
        }
        assert env.agents == []


def test_actions_reach_living_members_only():
    env = Teams(Mixed(), TEAMS)
    env.reset()
    for _ in range(3):
        env.step(ACTIONS)
    bee = np.array([1, 2])
    due = (
        {"ant_0": 1, "bee_0": bee, "cow_0": STEER},
        {"bee_0": bee, "cow_0": STEER},  # ant_0 is dead, ant_1 joins in this step
        {"ant_1": 2, "bee_0": bee},
    )
    assert_agree(tuple(env.unwrapped.actions), due)


# From each member's end to the team's: (terminated, truncated) on the last step.
ENDS = {
    "both terminated": ("terminated", "terminated", (True, False)),
    "the first truncated": ("truncated", "terminated", (False, True)),
    "the last truncated": ("terminated", "truncated", (False, True)),
    "both truncated": ("truncated", "truncated", (False, True)),
    "the first vanished": ("vanished", "terminated", (False, True)),
    "the last vanished": ("terminated", "vanished", (False, True)),
}


@pytest.mark.parametrize(("first", "last", "due"), ENDS.values(), ids=ENDS.keys())
def test_a_team_is_terminated_if_all_members_are_else_truncated(first, last, due):
    env = Teams(Population({"a": (0, 1, first), "b": (0, 2, last)}), {"ab": ["a", "b"]})
    for _ in range(2):
        env.reset()
        for ends in ((False, False), due):
            assert env.agents == ["ab"]
            _, _, terminations, truncations, _ = env.step({"ab": (0, 0)})
            assert (terminations, truncations) == ({"ab": ends[0]}, {"ab": ends[1]})
        assert env.agents == []


def test_a_team_that_has_ended_takes_no_part_while_others_play():
    env = Teams(
        Population({"a": (0, 1, "terminated"), "b": (0, 3, "terminated")}), {"x": ["a"], "y": ["b"]}
    )
    env.reset()
    assert set(env.step({"x": (0,), "y": (0,)})[0]) == {"x", "y"}
    assert env.agents == ["y"]
    for part in env.step({"y": (0,)}):
        assert set(part) == {"y"}


def test_a_team_joins_with_its_first_member():
    timetable = {"a": (0, 3, "terminated"), "b": (2, 3, "terminated"), "c": (1, 2, "terminated")}
    env = Teams(Population(timetable), {"x": ["a"], "y": ["b", "c"]})
    assert set(env.reset()[0]) == {"x"}
    assert env.agents == ["x"]
    observations, rewards, *_ = env.step({"x": (0,)})
    assert env.agents == ["x", "y"]
    assert [part["present"] for part in observations["y"]] == [0, 1]
    assert rewards == {"x": 10, "y": 12}


def test_a_member_that_never_joined_does_not_count_when_no_agent_is_left():
    timetable = {"a": (0, 2, "terminated"), "b": (9, 9, "terminated"), "c": (9, 9, "terminated")}
    env = Teams(Population(timetable), {"x": ["a", "b"], "y": ["c"]})
    env.reset()
    assert env.step({"x": (0, 0)})[2] == {"x": False}
    assert env.step({"x": (0, 0)})[2] == {"x": True}
    assert env.agents == []


def test_a_team_waits_for_a_member_that_has_yet_to_join():
    timetable = {"a": (0, 1, "terminated"), "b": (3, 4, "terminated"), "c": (0, 5, "terminated")}
    env = Teams(Population(timetable), {"x": ["a", "b"], "y": ["c"]})
    env.reset()
    play = [env.step({"x": (0, 0), "y": (0,)}) for _ in range(4)]
    presence = [[part["present"] for part in observations["x"]] for observations, *_ in play]
    assert presence == [[1, 0], [0, 0], [0, 1], [0, 1]]
    assert [step[1]["x"] for step in play] == [10, 0, 31, 41]
    assert [step[2]["x"] for step in play] == [False, False, False, True]


class Talkative(Population):
    """Returns values for every agent on every step, and an info whose key is not an agent."""

    def step(self, actions):
        _, rewards, terminations, truncations, infos = super().step(actions)
        observations = {agent: self._observe(agent) for agent in self.possible_agents}
        return (
            observations,
            {agent: rewards.get(agent, 0.5) for agent in self.possible_agents},
            {agent: terminations.get(agent, False) for agent in self.possible_agents},
            {agent: truncations.get(agent, False) for agent in self.possible_agents},
            infos | {"common": {"now": self.now}},
        )


def test_values_of_absent_members_do_not_make_them_present():
    env = Teams(Talkative(), {"all": ["early", "through", "late"]})
    env.reset()
    play = [env.step({"all": (0, 0, 0)}) for _ in range(3)]
    presence = [[part["present"] for part in observations["all"]] for observations, *_ in play]
    assert presence == [[1, 1, 0], [0, 1, 1], [0, 1, 1]]
    assert [step[1]["all"] for step in play] == [10 + 11 + 0.5, 0.5 + 21 + 22, 0.5 + 31 + 32]
    assert [step[3]["all"] for step in play] == [False, False, True]
    assert play[1][4] == {"common": {"now": 2}, "all": {}}


def test_changing_one_observation_does_not_change_another():
    env = Teams(Mixed(), TEAMS)
    observations, _ = env.reset(seed=0)
    before = copy.deepcopy(observations)
    with pytest.raises(ValueError, match="read-only"):
        observations["crowd"][1]["observation"]["clock"][0] = 1
    observations["crowd"][1]["observation"].clear()  # the dicts are not shared
    assert_agree(env.reset(seed=0)[0], before)


# Gymnasium warns about numbers in a 0-d Box, which the environment returns.
@pytest.mark.filterwarnings("ignore:.*Casting input x to numpy array:UserWarning")
def test_observations_belong_to_the_space():
    env = Teams(Mixed(), TEAMS)
    for observations in (env.reset()[0], *(env.step(ACTIONS)[0] for _ in range(3))):
        for team in TEAMS:
            assert env.observation_space(team).contains(observations[team])


def test_attributes_of_the_environment_are_kept():
    inner = Mixed(render_mode="ansi")
    env = Teams(inner, TEAMS)
    assert env.agents == []
    env.reset(options={"level": 3})
    assert (env.unwrapped, env.metadata) == (inner, Mixed.metadata)
    assert inner.options == {"level": 3}
    assert (env.render_mode, env.render()) == ("ansi", "episode 1")
    assert env.state().tolist() == [1, 0]
    assert (env.num_agents, env.max_num_agents) == (2, 2)


# pettingzoo.test imports PettingZoo's environments in a way that PettingZoo has deprecated.
@pytest.mark.filterwarnings("ignore:The old environment creation API:DeprecationWarning")
@pytest.mark.parametrize(
    "make",
    [
        lambda: Teams(Mixed(), TEAMS),
        lambda: EqualSpaceTeams(Teams(Mixed(), TEAMS)),
        lambda: Teams(EqualSpaceTeams(Mixed()), TEAMS),
    ],
    ids=["teams", "equal teams", "teams of equals"],
)
def test_pettingzoo_api_tests_pass(make):
    from pettingzoo.test import parallel_api_test, parallel_seed_test

    parallel_api_test(make(), num_cycles=20)
    parallel_seed_test(make, num_cycles=20)


def test_teams_with_different_spaces_are_vectorized_after_equalizing_them():
    with pytest.raises(SpaceError, match=r"'crowd' has .* 'pair' has "):
        PettingZooPufferEnv(Teams(Mixed(), TEAMS))
    check_env(lambda: EqualSpaceTeams(Teams(Mixed(), TEAMS)), steps=20)
    check_env(lambda: Teams(EqualSpaceTeams(Mixed()), TEAMS), steps=20)


def test_teams_with_equal_spaces_have_a_row_each():
    timetable = dict.fromkeys("abcd", (0, 2, "terminated"))
    env = native(Teams(Population(timetable), {"x": ["a", "b"], "y": ["d", "c"]}))
    rows, _ = env.reset(seed=3)
    shown, _ = Population(timetable).reset(seed=3)
    observed = [env.observation_layout.unflatten(row) for row in rows]
    assert_agree(observed[0], (member(shown["a"]), member(shown["b"])))
    assert_agree(observed[1], (member(shown["d"]), member(shown["c"])))
    env.step(np.array([[0, 1], [2, 3]]))  # of Discrete(5, start=-2), counted from 0
    assert env.rewards.tolist() == [10 + 11, 13 + 12]
    assert env.user_env.unwrapped.actions == [{"a": -2, "b": -1, "d": 0, "c": 1}]


def test_an_aec_environment_plays_as_the_parallel_one_it_was_made_from():
    timetable = {"ant_0": (0, 2, "terminated"), "bee_0": (0, 2, "truncated")}
    teams = {"x": ["bee_0", "ant_0"]}
    ours = Teams(pettingzoo.utils.parallel_to_aec(Mixed(timetable)), teams)
    parallel = Teams(Mixed(timetable), teams)
    assert_agree(ours.reset(seed=3)[0], parallel.reset(seed=3)[0])
    for _ in range(2):
        actions = {"x": (np.array([1, 2]), 0)}
        for actual, expected in zip(
            ours.step(actions)[:4], parallel.step(actions)[:4], strict=True
        ):
            assert_agree(actual, expected)
    assert ours.agents == []


BAD_TEAMS = {
    "an agent missing": (
        {"x": ["ant_0", "bee_0"], "y": ["ant_1"]},
        r"missing \['cow_0'\]\. Change",
    ),
    "an agent twice": (
        {"x": ["ant_0", "bee_0"], "y": ["ant_1", "cow_0", "bee_0"]},
        r"duplicate \['bee_0'\]\. Change",
    ),
    "an agent unknown": (
        {"x": ["ant_0", "ant_1", "bee_0", "cow_0", "dog_0"]},
        r"unknown \['dog_0'\]\. Change",
    ),
    "all at once": (
        {"x": ["ant_0", "ant_0"], "y": ["dog_0"]},
        r"missing \['bee_0', 'ant_1', 'cow_0'\], duplicate \['ant_0'\], unknown \['dog_0'\]",
    ),
    "none": ({}, r"missing \['ant_0', 'bee_0', 'ant_1', 'cow_0'\]\. Change"),
    "an empty team": ({"x": []}, "teams must be a dict from .* at least one; got"),
    "an agent for a team": ({"x": "ant_0"}, "teams must be a dict from each team's name"),
    "a list of teams": ([["ant_0"]], r"teams must be a dict .*got \[\['ant_0'\]\]\. possible_ag"),
}


@pytest.mark.parametrize(("teams", "match"), BAD_TEAMS.values(), ids=BAD_TEAMS.keys())
def test_teams_must_hold_each_agent_exactly_once(teams, match):
    with pytest.raises(ArgumentError, match=match):
        Teams(Mixed(), teams)


def test_only_multi_agent_environments_are_accepted():
    due = r"Teams takes a pettingzoo\.ParallelEnv or AECEnv, got .*Countdown\. A single agent"
    with pytest.raises(ArgumentError, match=due):
        Teams(Countdown(), {})
