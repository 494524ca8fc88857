"""Attributes of environments, through Gymnasium's and PettingZoo's wrappers and emulation."""

import gymnasium
import numpy as np
import pettingzoo
import pytest
from environments import Countdown, Population
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import SyncVectorEnv
from gymnasium.wrappers import TimeLimit
from pettingzoo.utils import BaseParallelWrapper
from vector_environments import Echo, Flock

from pufferlib.emulation import GymnasiumPufferEnv, PettingZooPufferEnv, native
from pufferlib.environment import PufferEnv
from pufferlib.vector.attributes import get_attribute, has_attribute, set_attribute
from pufferlib.wrappers import EpisodeStats, MultiAgentEpisodeStats, Turns


class Limited(Flock):
    """A `Flock` whose episodes are cut off after `max_cycles` steps."""

    max_cycles = 4
    state = "a text, though ParallelEnv has a method of this name"
    _secret = 1

    def step(self, actions):
        observations, rewards, terminations, truncations, infos = super().step(actions)
        if self.steps >= self.max_cycles:
            truncations, self.agents = dict.fromkeys(truncations, True), []
        return observations, rewards, terminations, truncations, infos


class Cycle(pettingzoo.AECEnv):
    """Two agents that act in turn, each `max_cycles` times."""

    metadata = {"name": "cycle", "is_parallelizable": True}  # noqa: RUF012

    def __init__(self, max_cycles=3, render_mode=None):
        self.possible_agents = ["a", "b"]
        self.max_cycles, self.render_mode = max_cycles, render_mode

    def observation_space(self, agent):
        return Box(0, 100, (1,), np.int64)

    def action_space(self, agent):
        return Discrete(2)

    def observe(self, agent):
        return np.array([self.cycles])

    def reset(self, seed=None, options=None):
        self.agents, self.cycles = self.possible_agents[:], 0
        self.agent_selection = "a"
        self.rewards = self._cumulative_rewards = dict.fromkeys(self.agents, 0)
        self.terminations = dict.fromkeys(self.agents, False)
        self.truncations = dict.fromkeys(self.agents, False)
        self.infos = {agent: {} for agent in self.agents}

    def step(self, action):
        if self.truncations[self.agent_selection]:
            self.agents.remove(self.agent_selection)
            self.agent_selection = "b"
            return
        if self.agent_selection == "b":
            self.cycles += 1
            self.truncations = dict.fromkeys(self.agents, self.cycles == self.max_cycles)
        self.agent_selection = "b" if self.agent_selection == "a" else "a"


def converted():
    ordered = pettingzoo.utils.OrderEnforcingWrapper(Cycle())
    return pettingzoo.utils.aec_to_parallel(ordered)


PARALLEL = {
    "bare": Limited,
    "wrapped": lambda: BaseParallelWrapper(BaseParallelWrapper(Limited())),
    "with statistics": lambda: MultiAgentEpisodeStats(Limited()),
    "emulated": lambda: PettingZooPufferEnv(MultiAgentEpisodeStats(Limited())),
    "emulated, then wrapped": lambda: BaseParallelWrapper(PettingZooPufferEnv(Limited())),
    "converted": converted,
    "converted, then wrapped": lambda: MultiAgentEpisodeStats(converted()),
    "AEC": lambda: pettingzoo.utils.OrderEnforcingWrapper(Cycle()),
}


@pytest.mark.parametrize("create", PARALLEL.values(), ids=PARALLEL.keys())
def test_a_limit_that_is_set_on_a_multi_agent_environment_ends_its_episode(create):
    env = native(create())
    set_attribute(env, "max_cycles", 1)
    assert get_attribute(env, "max_cycles") == 1
    env.reset(seed=0)
    _, _, terminals, truncations, _ = env.step(np.zeros(env.num_agents, np.int64))
    assert (terminals | truncations)[:2].all()


@pytest.mark.parametrize("create", PARALLEL.values(), ids=PARALLEL.keys())
def test_a_new_attribute_is_set_on_the_unwrapped_multi_agent_environment(create):
    env = native(create())
    assert not has_attribute(env, "brand_new")
    set_attribute(env, "brand_new", 5)
    assert vars(env.user_env.unwrapped)["brand_new"] == 5
    assert get_attribute(env, "brand_new") == 5
    assert has_attribute(env, "brand_new")


@pytest.mark.parametrize("create", list(PARALLEL.values())[:4], ids=list(PARALLEL)[:4])
def test_private_and_hidden_attributes_of_a_multi_agent_environment_are_reached(create):
    env = native(create())
    for name, value in {"_secret": 2, "state": "another text"}.items():
        assert get_attribute(env, name) == getattr(Limited, name)
        set_attribute(env, name, value)
        assert getattr(env.user_env.unwrapped, name) == get_attribute(env, name) == value


@pytest.mark.parametrize("wrap", [lambda env: env, MultiAgentEpisodeStats])
def test_a_render_mode_that_a_conversion_has_copied_is_set_in_each_copy(wrap):
    env = native(wrap(converted()))
    assert get_attribute(env, "render_mode") is None
    set_attribute(env, "render_mode", "ansi")
    assert env.user_env.unwrapped.render_mode == get_attribute(env, "render_mode") == "ansi"


def test_the_outermost_wrapper_that_defines_an_attribute_is_the_one_read_and_set():
    class Counting(BaseParallelWrapper):
        def __init__(self, env):
            super().__init__(env)
            self.skill = 7

        @property
        def tag(self):
            return "from the wrapper"

    inner = Flock(tag=3)
    env = native(Counting(inner))
    set_attribute(env, "skill", 8)
    assert (get_attribute(env, "skill"), inner.skill) == (8, 0)
    assert get_attribute(env, "tag") == "from the wrapper"
    set_attribute(env, "tag", 4)  # the property has no setter
    assert inner.tag == 4


def test_a_converted_environment_is_stepped_as_a_parallel_one():
    env = native(converted())
    observations, _ = get_attribute(env, "reset")(seed=0)
    assert observations.keys() == {"a", "b"}


def test_turns_are_looked_into():
    class Board(Cycle):
        def observation_space(self, agent):
            mask = Box(0, 1, (2,), np.int8)
            return gymnasium.spaces.Dict(observation=Box(0, 1, (1,)), action_mask=mask)

    inner = Board()
    env = native(Turns(inner))
    set_attribute(env, "max_cycles", 9)
    assert inner.max_cycles == 9


GYMNASIUM = {
    "bare": Echo,
    "one wrapper": lambda: TimeLimit(Echo(), 5),
    "two wrappers": lambda: EpisodeStats(TimeLimit(Echo(), 5)),
}
NAMES = ("tag", "skill", "brand_new", "_private", "_seed", "num_agents", "render_mode", "_row")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("create", GYMNASIUM.values(), ids=GYMNASIUM.keys())
def test_attributes_are_set_where_gymnasium_sets_them(create, name):
    env, sync = native(create()), SyncVectorEnv([create])
    try:
        sync.set_attr(name, 5)
    except AttributeError as error:
        with pytest.raises(AttributeError, match=str(error)):
            set_attribute(env, name, 5)
        return
    set_attribute(env, name, 5)
    assert get_attribute(env, name) == sync.get_attr(name)[0] == 5
    inner, expected = env.user_env.env, sync.envs[0]
    while True:
        assert vars(inner).get(name, "absent") == vars(expected).get(name, "absent")
        if inner is inner.unwrapped:
            break
        inner, expected = inner.env, expected.env


def test_emulation_is_not_mistaken_for_the_environment():
    env = native(GymnasiumPufferEnv(EpisodeStats(Countdown())))
    assert get_attribute(env, "observation_space") == Countdown().observation_space
    assert not has_attribute(env, "_was_reset")
    assert not has_attribute(env, "nonsense")
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        get_attribute(env, "nonsense")


def test_public_names_of_emulation_can_be_read():
    assert get_attribute(native(Flock()), "is_one_game") is True
    assert get_attribute(native(Population()), "observation_layout").space.shape
    assert get_attribute(native(Echo()), "observation_layout").space == Echo.observation_space


def test_a_property_that_fails_is_not_taken_for_a_missing_one():
    class Broken(Echo):
        @property
        def luck(self):
            raise ZeroDivisionError("no luck")

    with pytest.raises(ZeroDivisionError, match="no luck"):
        has_attribute(native(Broken()), "luck")


class Simulator:
    """Something that steps and is no environment."""

    gravity = 9.8

    def step(self):
        pass


def test_a_simulator_inside_an_environment_is_looked_into_last():
    class Walker(Flock):
        def __init__(self):
            super().__init__()
            self.env = Simulator()

    env = native(MultiAgentEpisodeStats(Walker()))
    simulator = env.user_env.unwrapped.env
    set_attribute(env, "gravity", 1.6)
    assert simulator.gravity == get_attribute(env, "gravity") == 1.6
    set_attribute(env, "brand_new", 3)
    assert not hasattr(simulator, "brand_new")


def test_attributes_of_a_native_environment_are_its_own():
    class Native(PufferEnv):
        single_observation_space = Box(0, 1, (1,))
        single_action_space = Discrete(2)
        num_agents = 1

    env = Native()
    set_attribute(env, "skill", 3)
    assert env.skill == get_attribute(env, "skill") == 3
    assert get_attribute(env, "is_one_game") is False
    assert not has_attribute(env, "nonsense")
