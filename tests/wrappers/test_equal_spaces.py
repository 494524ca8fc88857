"""Agents with different spaces get one common space, and play as in the bare environment."""

import copy

import numpy as np
import pettingzoo
import pytest
from environments import Countdown, Mixed, Population, Sampler
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Text, Tuple
from spaces_cases import SPACES, assert_agree, over_spaces

from pufferlib.emulation import PettingZooPufferEnv, native
from pufferlib.exceptions import ArgumentError, SpaceError
from pufferlib.testing import check_env
from pufferlib.wrappers import EqualSpaceTeams

ANT = Dict(clock=Box(0, 999, (2,), np.int32), luck=Box(0, 1, (), np.float32), place=Discrete(4))
BEE = Tuple((Box(5, 999, (3,), np.float32), MultiBinary(1)))
# The filler of the parts of other teams: the value nearest to zero.
NO_ANT = {"clock": np.zeros(2, np.int32), "luck": np.array(0, np.float32), "place": np.int64(0)}
NO_BEE = (np.full(3, 5, np.float32), np.zeros(1, np.int8))
# Gymnasium warns about numbers in a 0-d Box, which environments, and its own samples, return.
allowing_numbers = pytest.mark.filterwarnings("ignore:.*Casting input x to numpy array:UserWarning")
ACTIONS = {"team_0": 1, "team_1": np.array([1, 2]), "team_2": np.array([0.5, -1], np.float32)}


def parts(team, ant=NO_ANT, bee=NO_BEE, cow=NO_ANT):
    return {"team": team, "team_0": ant, "team_1": bee, "team_2": cow}


def in_parts(observations):
    """Return the expected observations of `Mixed`'s agents, from their bare observations."""
    kinds = {"ant": (0, "ant"), "bee": (1, "bee"), "cow": (2, "cow")}
    due = {}
    for agent, observation in observations.items():
        team, kind = kinds[agent[:3]]
        due[agent] = parts(team, **{kind: observation})
    return due


def test_agents_with_equal_observation_and_action_spaces_form_a_team():
    env = EqualSpaceTeams(Mixed())
    # Ants and cows have equal observation spaces and different action spaces.
    assert env.teams == {"team_0": ["ant_0", "ant_1"], "team_1": ["bee_0"], "team_2": ["cow_0"]}
    for agent in env.possible_agents:
        assert env.observation_space(agent) == Dict(
            {"team": Discrete(3), "team_0": ANT, "team_1": BEE, "team_2": ANT}
        )
        assert env.action_space(agent) == Dict(
            team_0=Discrete(5, start=-2),
            team_1=MultiDiscrete([2, 3]),
            team_2=Box(-1, 1, (2,), np.float32),
        )


def test_agents_with_equal_spaces_are_one_team():
    env = EqualSpaceTeams(Population())
    assert env.teams == {"team_0": ["early", "through", "late"]}
    observations, _ = env.reset(seed=0)
    expected, _ = Population().reset(seed=0)
    for agent, observation in expected.items():
        assert_agree(observations[agent], {"team": 0, "team_0": observation})


def test_teams_have_the_given_names():
    env = EqualSpaceTeams(Mixed(), names=("ants", "bees", "cows"))
    assert env.teams == {"ants": ["ant_0", "ant_1"], "bees": ["bee_0"], "cows": ["cow_0"]}
    assert list(env.reset()[0]["cow_0"]) == ["team", "ants", "bees", "cows"]


def test_play_equals_that_of_the_bare_environment():
    env, bare = EqualSpaceTeams(Mixed()), Mixed()
    for _ in range(2):
        observations, infos = env.reset(seed=3)
        expected, expected_infos = bare.reset(seed=3)
        assert infos == expected_infos
        assert_agree(observations, in_parts(expected))
        while bare.agents:
            assert env.agents == bare.agents
            own = {"ant": ACTIONS["team_0"], "bee": ACTIONS["team_1"], "cow": ACTIONS["team_2"]}
            expected, *expected_rest = bare.step({agent: own[agent[:3]] for agent in bare.agents})
            observations, *rest = env.step(dict.fromkeys(env.agents, ACTIONS))
            assert_agree(observations, in_parts(expected))
            assert rest == expected_rest
        assert env.agents == []
    assert_agree(tuple(env.unwrapped.actions), tuple(bare.actions))


@allowing_numbers
def test_observations_belong_to_the_space():
    env = EqualSpaceTeams(Mixed())
    for observations in (env.reset()[0], env.step(dict.fromkeys(env.agents, ACTIONS))[0]):
        for agent, observation in observations.items():
            assert env.observation_space(agent).contains(observation)


class Pair(pettingzoo.ParallelEnv):
    """Two agents: "a" observes samples of a space, "b" always observes 0."""

    def __init__(self, space):
        self.metadata, self.render_mode = {}, None
        self.possible_agents, self.agents = ["a", "b"], []
        self.sampler, self.nothing, self.action = Sampler(space), Discrete(1), Discrete(2)

    def observation_space(self, agent):
        return self.sampler.observation_space if agent == "a" else self.nothing

    def action_space(self, agent):
        return self.action

    def reset(self, seed=None, options=None):
        self.agents = ["a", "b"]
        return {"a": self.sampler.reset(seed=seed)[0], "b": 0}, {"a": {}, "b": {}}

    def step(self, actions):
        observations = {"a": self.sampler.step(0)[0], "b": 0}
        no = dict.fromkeys(observations, False)
        return observations, dict.fromkeys(no, 0.0), no, no, {"a": {}, "b": {}}


FILLERS = {
    "0 within": (Box(-1, 1, (2,)), np.zeros(2, np.float32)),
    "0 below": (Box(np.array([-1, 3]), np.array([1, 4])), np.array([0, 3], np.float32)),
    "0 above": (Box(-np.inf, -2, (), np.float64), np.array(-2.0)),
    "unbounded": (Box(-np.inf, np.inf, (1,)), np.zeros(1, np.float32)),
    "bool": (Box(0, 1, (2,), np.bool_), np.zeros(2, np.bool_)),
    "discrete": (Discrete(5, start=-2), np.int64(0)),
    "discrete above": (Discrete(3, start=7), np.int64(7)),
    "discrete below": (Discrete(3, start=-7), np.int64(-5)),
    "multi-discrete": (MultiDiscrete([3, 4], start=[-1, 10]), np.array([0, 10])),
    "nested": (
        Dict(a=Tuple((MultiBinary((1, 2)), Discrete(2, start=1))), b=Dict(), c=Tuple(())),
        {"a": (np.zeros((1, 2), np.int8), np.int64(1)), "b": {}, "c": ()},
    ),
}


@pytest.mark.parametrize(("space", "filler"), FILLERS.values(), ids=FILLERS.keys())
def test_the_part_of_another_team_is_the_value_nearest_to_zero(space, filler):
    env = EqualSpaceTeams(Pair(space))
    for observations in (env.reset()[0], env.step({})[0]):
        assert_agree(observations["b"]["team_0"], filler)


@allowing_numbers
@over_spaces
def test_every_filler_belongs_to_its_space(space):
    env = EqualSpaceTeams(Pair(space))
    observations, _ = env.reset(seed=0)
    for agent in ("a", "b"):
        assert env.observation_space(agent).contains(observations[agent])
        assert env.observation_space(agent)["team_0"].contains(observations[agent]["team_0"])


@over_spaces
def test_every_space_survives_flattening(space):
    structured, rows = EqualSpaceTeams(Pair(space)), native(EqualSpaceTeams(Pair(space)))
    expected, _ = structured.reset(seed=5)
    flat, _ = rows.reset(seed=5)
    for row, agent in zip(flat, ("a", "b"), strict=True):
        assert_agree(rows.observation_layout.unflatten(row), expected[agent])


def test_changing_one_observation_does_not_change_another():
    env = EqualSpaceTeams(Mixed())
    observations, _ = env.reset(seed=0)
    before = copy.deepcopy(observations)
    with pytest.raises(ValueError, match="read-only"):
        observations["bee_0"]["team_0"]["clock"][0] = 1
    with pytest.raises(ValueError, match="read-only"):
        observations["ant_0"]["team_1"][0][:] = 1
    observations["bee_0"]["team_0"].clear()  # the dicts are not shared
    for agent in ("ant_0", "cow_0"):
        assert_agree(observations[agent], before[agent])
    assert_agree(env.reset(seed=0)[0], before)


def test_agents_action_spaces_are_seeded_separately():
    env = EqualSpaceTeams(Mixed())
    first, second = env.action_space("ant_0"), env.action_space("ant_1")
    first.seed(0)
    second.seed(0)
    alone = [second.sample() for _ in range(5)]
    second.seed(0)
    for due in alone:
        first.sample()
        assert_agree(second.sample(), due)


def test_attributes_of_the_environment_are_kept():
    inner = Mixed(render_mode="ansi")
    env = EqualSpaceTeams(inner)
    env.reset(options={"level": 3})
    assert (env.unwrapped, env.metadata) == (inner, Mixed.metadata)
    assert inner.options == {"level": 3}
    assert (env.render_mode, env.render()) == ("ansi", "episode 1")
    assert env.state().tolist() == [1, 0]
    assert env.possible_agents == ["ant_0", "bee_0", "ant_1", "cow_0"]
    assert (env.num_agents, env.max_num_agents) == (3, 4)


# pettingzoo.test imports PettingZoo's environments in a way that PettingZoo has deprecated.
@pytest.mark.filterwarnings("ignore:The old environment creation API:DeprecationWarning")
def test_pettingzoo_api_tests_pass():
    from pettingzoo.test import parallel_api_test, parallel_seed_test

    parallel_api_test(EqualSpaceTeams(Mixed()), num_cycles=20)
    parallel_seed_test(lambda: EqualSpaceTeams(Mixed()), num_cycles=20)


def test_agents_with_different_spaces_are_refused_bare_and_vectorized_as_teams():
    with pytest.raises(SpaceError, match="Agents differ in their observation space"):
        PettingZooPufferEnv(Mixed())
    check_env(lambda: EqualSpaceTeams(Mixed()), steps=20)
    env = native(PettingZooPufferEnv(EqualSpaceTeams(Mixed())))
    rows, _ = env.reset(seed=3)
    expected, _ = Mixed().reset(seed=3)
    for row, agent in zip(rows, env.user_env.possible_agents, strict=True):
        if agent in expected:
            assert_agree(env.observation_layout.unflatten(row), in_parts(expected)[agent])
    assert env.masks.tolist() == [True, True, False, True]


def test_an_aec_environment_plays_as_the_parallel_one_it_was_made_from():
    timetable = {"ant_0": (0, 2, "terminated"), "bee_0": (0, 2, "truncated")}
    ours = EqualSpaceTeams(pettingzoo.utils.parallel_to_aec(Mixed(timetable)))
    parallel = EqualSpaceTeams(Mixed(timetable))
    assert_agree(ours.reset(seed=3)[0], parallel.reset(seed=3)[0])
    for _ in range(2):
        actions = dict.fromkeys(parallel.agents, ACTIONS)
        for actual, expected in zip(
            ours.step(actions)[:4], parallel.step(actions)[:4], strict=True
        ):
            assert_agree(actual, expected)


BAD_NAMES = {
    "too few": ["ants", "bees"],
    "too many": ["ants", "bees", "cows", "dogs"],
    "twice the same": ["ants", "bees", "ants"],
    "taken": ["ants", "team", "cows"],
    "no strings": [0, 1, 2],
    "one string": "abc",
    "no list": 3,
}


@pytest.mark.parametrize("names", BAD_NAMES.values(), ids=BAD_NAMES.keys())
def test_names_that_do_not_fit_the_teams_are_refused(names):
    due = r"names must be a different string for each team, 'team' not among them; got .*"
    due += r"There are 3 teams, in this order: \[\['ant_0', 'ant_1'\], \['bee_0'\], \['cow_0'\]\]"
    with pytest.raises(ArgumentError, match=due):
        EqualSpaceTeams(Mixed(), names=names)


def test_only_multi_agent_environments_are_accepted():
    due = r"EqualSpaceTeams takes a pettingzoo\.ParallelEnv or AECEnv, got "
    with pytest.raises(ArgumentError, match=due + r"an instance of environments\.Countdown\. A si"):
        EqualSpaceTeams(Countdown())
    with pytest.raises(ArgumentError, match=due + "the class Mixed"):
        EqualSpaceTeams(Mixed)
    env = Mixed()
    env.possible_agents = []
    with pytest.raises(ArgumentError, match=r"mixed_v0 has no possible_agents, .* Set it to every"):
        EqualSpaceTeams(env)


def test_a_space_without_fixed_size_is_refused_with_its_path():
    with pytest.raises(SpaceError, match=r"space\['team_0'\]\['words'\] is Text"):
        EqualSpaceTeams(Pair(Dict(words=Text(4), numbers=SPACES["discrete"])))
