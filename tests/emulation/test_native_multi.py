"""A native environment of several agents is an ordinary PettingZoo parallel environment."""

import copy

import gymnasium
import numpy as np
import pytest
from environments import Population
from training_environments import Roster

from pufferlib import vector
from pufferlib.emulation import PettingZooPufferEnv, native, to_pettingzoo
from pufferlib.emulation.description import describe_spaces
from pufferlib.environment import PufferEnv
from pufferlib.exceptions import ActionError, ArgumentError, CallOrderError, ContractError
from pufferlib.registry import ocean
from pufferlib.registry.ocean.squared import Squared

AGENTS = ["early", "through", "late"]  # of Population, in the order of its rows


class RosterGame(Roster):
    is_one_game = True


def population():
    """Return a native environment in which agents join and leave."""
    return native(PettingZooPufferEnv(Population()))


def renamed(by_agent):
    return {f"agent_{AGENTS.index(agent)}": value for agent, value in by_agent.items()}


def same(one, other):
    assert one.keys() == other.keys()
    return all(np.array_equal(one[agent], other[agent]) for agent in one)


def test_agents_join_and_leave_as_in_the_pettingzoo_environment():
    env, original = to_pettingzoo(population()), PettingZooPufferEnv(Population())
    assert env.possible_agents == ["agent_0", "agent_1", "agent_2"]
    seed = 4
    for _ in range(3):
        observations, _ = env.reset(seed=seed)
        assert same(observations, renamed(original.reset(seed=seed)[0]))
        seed = None  # later episodes follow from the first
        while original.agents:
            assert env.agents == list(renamed(dict.fromkeys(original.agents)))
            actions = dict.fromkeys(original.agents, 1)
            results, expected = env.step(renamed(actions)), original.step(actions)
            for given, wanted in zip(results[:4], expected[:4], strict=True):
                assert same(given, renamed(wanted))
        assert env.agents == []


def test_it_gives_the_rows_of_the_vectorized_environment():
    envs = vector.make(RosterGame, backend="Serial", num_envs=1)
    env = to_pettingzoo(RosterGame())
    rows, _ = envs.reset(seed=3)
    observations, _ = env.reset(seed=3)
    generator = np.random.default_rng(0)
    for _ in range(500):
        actions = generator.integers(2, size=3)
        present = [int(agent[-1]) for agent in env.agents]
        assert all(np.array_equal(observations[f"agent_{row}"], rows[row]) for row in present)
        rows, rewards, terminals, truncations, _ = envs.step(actions)
        observations, *results, _ = env.step({f"agent_{row}": actions[row] for row in present})
        for row in present:
            values = [by_agent[f"agent_{row}"] for by_agent in results]
            assert values == [rewards[row], terminals[row], truncations[row]]
            if terminals[row] or truncations[row]:
                last = envs.final_observations[row]
                assert np.array_equal(observations[f"agent_{row}"], last)
        if not env.agents:
            observations, _ = env.reset()


@pytest.mark.parametrize("make_env", [RosterGame, population, Squared])
@pytest.mark.filterwarnings("ignore:No agents present but not all possible_agents")
@pytest.mark.filterwarnings("ignore:The old environment creation API")
def test_it_passes_the_checkers_of_pettingzoo(make_env):
    from pettingzoo.test import parallel_api_test, parallel_seed_test

    parallel_api_test(to_pettingzoo(make_env()), num_cycles=50)
    parallel_seed_test(lambda: to_pettingzoo(make_env()), num_cycles=50)


def test_vectorized_it_gives_the_native_rows():
    envs, expected = (
        vector.make(make, backend="Serial", num_envs=2)
        for make in (lambda: to_pettingzoo(RosterGame()), RosterGame)
    )
    assert np.array_equal(envs.reset(seed=1)[0], expected.reset(seed=1)[0])
    expected.action_space.seed(0)
    for _ in range(50):
        actions = expected.action_space.sample()
        for given, wanted in zip(envs.step(actions)[:4], expected.step(actions)[:4], strict=True):
            assert np.array_equal(given, wanted)


def test_infos_are_in_a_list_at_the_first_agent():
    env = to_pettingzoo(population())
    _, infos = env.reset(seed=0)
    assert infos == {"agent_0": {"agent_infos": [{"begins": 1}] * 2}, "agent_1": {}}
    *_, infos = env.step({"agent_0": 0, "agent_1": 0})  # agent_0 leaves
    assert infos == {"agent_0": {"agent_infos": [{"left": "early"}]}, "agent_1": {}}


def test_infos_of_one_agent_are_its_own():
    env = to_pettingzoo(Squared())
    env.reset(seed=0)
    for _ in range(3):
        *_, infos = env.step({"agent_0": 0})
    assert infos["agent_0"]["episode_length"] == 3


def test_spaces_carry_layouts_and_each_agent_has_its_own_random_state():
    env = to_pettingzoo(population())
    spaces = env.observation_space("agent_1"), env.action_space("agent_1")
    layout = describe_spaces(*copy.deepcopy(spaces)).observation_layout
    assert layout.original == Population().observation_space("through")
    assert env.action_space("agent_0") is env.action_space("agent_0")
    samples = []
    for agent in env.possible_agents:
        env.action_space(agent).seed(0)
    for agent in env.possible_agents:
        samples.append([env.action_space(agent).sample() for _ in range(5)])
    assert samples[0] == samples[1] == samples[2]


def test_observations_are_not_changed_by_later_steps():
    env = to_pettingzoo(population())
    kept = [env.reset(seed=0)[0], env.step({"agent_0": 0, "agent_1": 0})[0]]
    before = copy.deepcopy(kept)
    env.step({"agent_1": 0})
    assert all(map(same, kept, before))


def test_an_emulated_environment_is_returned_as_it_is():
    env = ocean.make_env("multiagent")
    assert to_pettingzoo(env) is env


def test_steps_need_the_actions_of_the_agents_that_are_present():
    env = to_pettingzoo(population())
    with pytest.raises(CallOrderError, match="Call reset first"):
        env.step({})
    env.reset(seed=0)
    for actions in ({"agent_0": 0}, {"agent_0": 0, "agent_1": 0, "agent_2": 0}):
        with pytest.raises(ActionError, match=r"\['agent_0', 'agent_1'\]; got those of"):
            env.step(actions)
    with pytest.raises(ActionError, match="first action of agent_1"):
        env.step({"agent_0": 0, "agent_1": 9})


class Respawning(PufferEnv):
    """A game of two, of which the first begins again after each step."""

    num_agents = 2
    is_one_game = True

    def __init__(self):
        self.single_observation_space = gymnasium.spaces.Box(0, 1, (1,))
        self.single_action_space = gymnasium.spaces.Discrete(2)
        super().__init__()

    def reset(self, seed=None):
        self.masks[:] = True
        return self.observations, []

    def step(self, actions):
        self.terminals[:] = True, False
        return self.observations, self.rewards, self.terminals, self.truncations, []


def test_an_agent_that_returns_while_others_play_is_an_error():
    env = to_pettingzoo(Respawning())
    env.reset(seed=0)
    with pytest.raises(ContractError, match=r"\['agent_0'\] of Respawning began a new episode"):
        env.step({"agent_0": 0, "agent_1": 0})


def test_the_result_is_returned_as_it_is_and_options_are_a_dict():
    env = to_pettingzoo(population())
    assert to_pettingzoo(env) is env
    with pytest.raises(ArgumentError, match="options must be a dict or None, got int"):
        env.reset(options=5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Squared(num_agents=2), r"is_one_game=False.*num_agents=1.*is_one_game=True"),
        (Population, r"already.*PettingZooPufferEnv"),
        (lambda: gymnasium.make("CartPole-v1"), "Gymnasium environment already"),
        (lambda: Squared, r"to_pettingzoo\(Squared\(\)\)"),
        (lambda: vector.Serial(Squared), "vectorizer"),
    ],
)
def test_anything_else_is_refused(make, message):
    with pytest.raises(ArgumentError, match=message):
        to_pettingzoo(make())
