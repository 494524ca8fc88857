"""A wrapped PettingZoo environment keeps a row for each agent, while agents join and leave."""

import copy
import pickle
from collections import defaultdict

import numpy as np
import pettingzoo
import pytest
from environments import TIMETABLE, Population
from gymnasium.spaces import Box, Discrete, Sequence
from spaces_cases import assert_agree

from pufferlib.emulation import PettingZooPufferEnv, native
from pufferlib.exceptions import (
    ActionError,
    ArgumentError,
    CallOrderError,
    ContractError,
    ObservationError,
    SpaceError,
)

ACTIONS = np.zeros(3, np.int64)


@pytest.fixture(autouse=True, params=["compiled", "plain"])
def twin(request, monkeypatch):
    """Run each test on both twins."""
    module = pytest.importorskip(f"pufferlib.emulation._{request.param}")
    monkeypatch.setattr("pufferlib.emulation.multi_rows.AgentRows", module.AgentRows)
    monkeypatch.setattr("pufferlib.emulation.layout.Plan", module.Plan)


def clocks(env, rows):
    """Return [episode, step, place] of each row, read through the layout."""
    parts = env.observation_layout.unflatten(rows)
    return np.column_stack([parts["clock"], parts["place"]]).tolist()


# pettingzoo.test imports PettingZoo's environments in a way that PettingZoo has deprecated.
@pytest.mark.filterwarnings("ignore:The old environment creation API:DeprecationWarning")
def test_pettingzoo_api_tests_pass():
    from pettingzoo.test import parallel_api_test, parallel_seed_test

    parallel_api_test(PettingZooPufferEnv(Population()), num_cycles=20)
    parallel_seed_test(lambda: PettingZooPufferEnv(Population()), num_cycles=20)


def test_play_equals_that_of_the_bare_environment():
    flat, bare = PettingZooPufferEnv(Population()), Population()
    observations, infos = flat.reset(seed=3)
    expected, expected_infos = bare.reset(seed=3)
    assert infos == expected_infos
    for choice in range(3):
        for agent in observations:
            structure = flat.observation_layout.unflatten(observations[agent])
            assert_agree(structure, expected[agent])
        assert flat.agents == bare.agents
        observations, *rest = flat.step(dict.fromkeys(flat.agents, choice))
        expected, *expected_rest = bare.step(dict.fromkeys(bare.agents, choice - 2))
        assert rest == expected_rest
        assert list(observations) == list(expected)
    assert flat.env.actions == bare.actions  # Discrete(5, start=-2), counted from 0 when flat


def test_attributes_of_the_environment_are_kept():
    inner = Population(render_mode="ansi")
    env = PettingZooPufferEnv(inner)
    env.reset()
    assert env.unwrapped is inner
    assert env.metadata == Population.metadata
    assert (env.render_mode, env.render()) == ("ansi", "episode 1")
    assert env.state().tolist() == [1, 0]
    assert (env.num_agents, env.max_num_agents) == (2, 3)


def test_options_reach_the_environment():
    env = PettingZooPufferEnv(Population())
    env.reset(options={"level": 3})
    assert env.unwrapped.options == {"level": 3}


def test_returned_observations_stay_as_they_were():
    env = PettingZooPufferEnv(Population())
    kept, _ = env.reset()
    before = copy.deepcopy(kept)
    env.step(dict.fromkeys(env.agents, 0))
    assert_agree(kept, before)


def test_agents_that_die_or_join_late_keep_their_row():
    env = native(Population())
    rows, infos = env.reset(seed=0)
    assert infos == [{"begins": 1}, {"begins": 1}]
    assert clocks(env, rows) == [[1, 0, 0], [1, 0, 1], [0, 0, 0]]
    assert env.masks.tolist() == [True, True, False]

    # Step 1: the first agent dies; its last observation is final, its row is empty.
    rows, rewards, terminals, truncations, infos = env.step(ACTIONS)
    assert clocks(env, rows) == [[0, 0, 0], [1, 1, 1], [0, 0, 0]]
    assert clocks(env, env.final_observations)[0] == [1, 1, 0]
    assert rewards.tolist() == [10, 11, 0]
    assert terminals.tolist() == [True, False, False]
    assert truncations.tolist() == [False, False, False]
    assert env.masks.tolist() == [False, True, False]
    assert infos == [{"left": "early"}]

    # Step 2: it is absent; the third agent joins.
    rows, rewards, terminals, truncations, infos = env.step(ACTIONS)
    assert clocks(env, rows) == [[0, 0, 0], [1, 2, 1], [1, 2, 2]]
    assert not rows[0].any()
    assert rewards.tolist() == [0, 21, 22]
    assert not (terminals | truncations).any()
    assert env.masks.tolist() == [False, True, True]
    assert infos == []

    # Step 3: the others end, one truncated and one terminated; the next episode begins.
    rows, rewards, terminals, truncations, infos = env.step(ACTIONS)
    assert clocks(env, rows) == [[2, 0, 0], [2, 0, 1], [0, 0, 0]]
    assert clocks(env, env.final_observations)[1:] == [[1, 3, 1], [1, 3, 2]]
    assert rewards.tolist() == [0, 31, 32]
    assert terminals.tolist() == [False, False, True]
    assert truncations.tolist() == [False, True, False]
    assert env.masks.tolist() == [True, True, False]
    assert infos == [{"left": "through"}, {"left": "late"}, {"begins": 2}, {"begins": 2}]


def test_actions_reach_only_living_agents():
    env = native(Population())
    env.reset()
    for _ in range(3):
        env.step(np.array([0, 1, 4]))
    assert env.user_env.env.actions == [
        {"early": -2, "through": -1},
        {"through": -1},
        {"through": -1, "late": 2},
    ]


def test_an_agent_that_vanishes_with_the_last_is_truncated():
    env = native(Population({"a": (0, 1, "terminated"), "b": (0, 1, "vanished")}))
    env.reset()
    rows, _, terminals, truncations, _ = env.step(np.zeros(2, int))
    assert (terminals.tolist(), truncations.tolist()) == ([True, False], [False, True])
    assert clocks(env, env.final_observations) == [[1, 1, 0], [1, 1, 1]]
    assert clocks(env, rows) == [[2, 0, 0], [2, 0, 1]]


class Silent(Population):
    """Returns no observation for an agent in its last step."""

    def step(self, actions):
        observations, *rest = super().step(actions)
        return {agent: observations[agent] for agent in self.agents}, *rest


def test_an_agent_that_ends_without_an_observation_keeps_its_reward_and_its_end():
    rows = native(Silent())
    rows.reset(0)
    rows.final_observations[:] = 7
    rows.step(ACTIONS)  # "early", place 0, terminates on step 1: its reward is 10 * 1 + 0
    assert rows.rewards.tolist() == [10, 11, 0]
    assert rows.terminals.tolist() == [True, False, False]
    assert rows.masks.tolist() == [False, True, False]
    assert not rows.final_observations[0].any()


def test_an_aec_environment_plays_as_the_parallel_one_it_was_made_from():
    timetable = {"a": (0, 3, "terminated"), "b": (0, 3, "truncated")}
    both = np.zeros(2, np.int64)
    aec = native(pettingzoo.utils.parallel_to_aec(Population(timetable)))
    parallel = native(Population(timetable))
    assert_agree(aec.reset(seed=3)[0], parallel.reset(seed=3)[0])
    for _ in range(5):
        for actual, expected in zip(aec.step(both)[:4], parallel.step(both)[:4], strict=True):
            assert_agree(actual, expected)


class Defaulting(Population):
    """Returns subclasses of dict, as `aec_to_parallel` does."""

    def reset(self, seed=None, options=None):
        return tuple(defaultdict(int, part) for part in super().reset(seed=seed))

    def step(self, actions):
        return tuple(defaultdict(int, part) for part in super().step(actions))


def test_subclasses_of_dict_are_accepted():
    rows, expected = native(Defaulting()), native(Population())
    assert_agree(rows.reset(0)[0], expected.reset(0)[0])
    for actual, due in zip(rows.step(ACTIONS)[:4], expected.step(ACTIONS)[:4], strict=True):
        assert_agree(actual, due)


class Varied(Population):
    """Gives its agents the spaces passed to it."""

    def __init__(self, what, spaces):
        super().__init__()
        getattr(self, f"_{what}_spaces").update(zip(TIMETABLE, spaces, strict=True))


@pytest.mark.parametrize("what", ["observation", "action"])
def test_agents_of_different_spaces_are_refused(what):
    spaces = [Discrete(2), Discrete(2), Discrete(3)]
    said = r"'early' has Discrete\(2\), 'late' has Discrete\(3\)"
    with pytest.raises(SpaceError, match=f"Agents differ in their {what} space: {said}"):
        PettingZooPufferEnv(Varied(what, spaces))


@pytest.mark.parametrize("what", ["observation", "action"])
def test_an_unsupported_space_is_refused(what):
    with pytest.raises(SpaceError, match="space is Sequence"):
        PettingZooPufferEnv(Varied(what, [Sequence(Discrete(2))] * 3))


def test_a_first_observation_outside_its_space_is_refused_with_its_agent():
    env = PettingZooPufferEnv(Varied("observation", [Box(0, 1, (2,))] * 3))
    with pytest.raises(ObservationError, match=r"agent 'early' .* must have shape"):
        env.reset()


@pytest.mark.parametrize(
    ("actions", "said"),
    [
        ({"early": 5}, r"agent 'early' .* action must lie within \[0, 4\], got 5"),
        ({"early": 0, "through": -1}, "agent 'through' .* got -1"),
        ({"early": [0]}, r"agent 'early' .* must have shape \(\), got \(1,\)"),
        ({"stranger": 0}, "no agent 'stranger'; possible_agents are"),
    ],
    ids=["bounds", "not counted from 0", "shape", "agent"],
)
def test_a_first_action_outside_its_space_is_refused_with_its_agent(actions, said):
    env = PettingZooPufferEnv(Population())
    env.reset()
    with pytest.raises(ActionError, match=said):
        env.step(actions)


def test_a_step_without_actions_does_not_count_as_checked():
    env = PettingZooPufferEnv(Population())
    env.reset()
    env.step({})
    with pytest.raises(ActionError, match=r"agent 'through' .* got 9"):
        env.step({"through": 9})


def test_the_order_in_which_living_agents_are_listed_does_not_matter():
    class Backwards(Population):
        def step(self, actions):
            result = super().step(actions)
            self.agents.reverse()
            return result

    env, usual = native(Backwards()), native(Population())
    assert_agree(env.reset(1)[0].copy(), usual.reset(1)[0])
    for _ in range(7):
        for actual, expected in zip(env.step(ACTIONS)[:4], usual.step(ACTIONS)[:4], strict=True):
            assert_agree(actual, expected)
        assert_agree(env.masks, usual.masks)


def test_rows_of_absent_agents_may_hold_any_action():
    env = native(Varied("action", [Box(-1, 1, (2,), np.float64)] * 3))
    env.reset(0)
    actions = np.array([[0.5, 0], [0.25, 1], [np.nan, np.inf]])
    env.step(actions)
    (taken,) = env.user_env.env.actions
    assert_agree(taken, {"early": actions[0], "through": actions[1]})


class Intruded(Population):
    """Lets an agent take part that is not in `possible_agents`."""

    def step(self, actions):
        result = super().step(actions)
        self.agents.append("stranger")
        return result


def test_an_agent_outside_possible_agents_is_refused():
    env = native(Intruded())
    env.reset(0)
    with pytest.raises(
        ContractError, match=r"'stranger' took part, but possible_agents are \['early'"
    ):
        env.step(ACTIONS)


class Forgetful(Population):
    """Never removes an agent from `agents`, and reports those that have ended in every step."""

    def reset(self, seed=None, options=None):
        self.over = {}
        return super().reset(seed, options)

    def step(self, actions):
        ended, listed = self.over, list(self.agents)
        self.agents = [agent for agent in listed if agent not in ended]
        observations, rewards, terminations, truncations, infos = super().step(actions)
        ended |= {agent: how for agent, (_, last, how) in TIMETABLE.items() if last == self.now}
        self.agents = listed + [agent for agent in observations if agent not in listed]
        terminations |= {agent: how == "terminated" for agent, how in ended.items()}
        truncations |= {agent: how == "truncated" for agent, how in ended.items()}
        return observations, rewards, terminations, truncations, infos


def test_an_environment_that_forgets_to_empty_agents_begins_the_next_episode():
    forgetful, correct = native(Forgetful()), native(Population())
    assert_agree(forgetful.reset(0)[0], correct.reset(0)[0])
    for _ in range(7):  # an episode takes 3
        rows, _, _, _, infos = forgetful.step(ACTIONS)
        expected, _, _, _, expected_infos = correct.step(ACTIONS)
        assert_agree(rows, expected)
        assert forgetful.masks.tolist() == correct.masks.tolist()
        assert infos == expected_infos


class Deserted(Population):
    """Begins episodes without agents.

    Args:
        how: "empty": without agents; "unseen": without observations; "unlisted": `agents` is
            empty, although there are observations.
        after: so many correct episodes.
    """

    def __init__(self, how, after=0):
        super().__init__()
        self.how, self.after = how, after

    def reset(self, seed=None, options=None):
        observations, infos = super().reset(seed, options)
        if self.episode > self.after:
            self.agents = self.agents if self.how == "unseen" else []
            observations = observations if self.how == "unlisted" else {}
        return observations, infos


NO_ONE_ACTS = {
    "empty": r"`agents` is \[\], and the observations are of \[\]",
    "unseen": r"`agents` is \['early', 'through'\], and the observations are of \[\]",
    "unlisted": r"`agents` is \[\], and the observations are of \['early', 'through'\]",
}


@pytest.mark.parametrize("how", NO_ONE_ACTS)
def test_a_reset_that_returns_no_living_agent_is_refused(how):
    env = native(Deserted(how))
    with pytest.raises(ContractError, match=NO_ONE_ACTS[how]):
        env.reset(0)


@pytest.mark.parametrize("how", NO_ONE_ACTS)
def test_an_environment_that_stays_empty_after_an_episode_is_refused(how):
    env = native(Deserted(how, after=1))
    env.reset(0)
    env.step(ACTIONS)
    env.step(ACTIONS)
    with pytest.raises(ContractError, match=NO_ONE_ACTS[how]):
        env.step(ACTIONS)


def test_with_to_puffer_it_gives_rows():
    env = PettingZooPufferEnv(Population(), to_puffer=True)
    rows = native(Population())
    assert env.done
    assert_agree(env.reset(seed=3)[0], rows.reset(3)[0])
    assert not env.done
    for _ in range(5):
        *result, infos = env.step(ACTIONS)
        *expected, expected_infos = rows.step(ACTIONS)
        for actual, due in zip(result, expected, strict=True):
            assert_agree(actual, due)
        assert infos == expected_infos
        assert_agree(env.masks, rows.masks)
    with pytest.raises(ArgumentError, match="exist only with to_puffer=True"):
        _ = PettingZooPufferEnv(Population()).masks


def test_without_to_puffer_it_is_done_when_no_agent_is_alive():
    env = PettingZooPufferEnv(Population())
    env.reset()
    was_done = []
    for _ in range(3):
        env.step(dict.fromkeys(env.agents, 0))
        was_done.append(env.done)
    assert was_done == [False, False, True]


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
@pytest.mark.parametrize("to_puffer", [False, True])
def test_a_copy_is_independent_of_its_original(copied, to_puffer):
    env = PettingZooPufferEnv(Population(), to_puffer=to_puffer)
    first, _ = copy.deepcopy(env.reset(seed=1))
    other, _ = copied(env).reset(seed=1)
    assert_agree(other, first)


def test_step_before_reset_is_refused():
    with pytest.raises(CallOrderError, match="step before reset"):
        PettingZooPufferEnv(Population()).step({})


def test_an_environment_without_possible_agents_is_refused():
    env = Population()
    env.possible_agents = []
    with pytest.raises(ArgumentError, match="has no possible_agents"):
        PettingZooPufferEnv(env)
