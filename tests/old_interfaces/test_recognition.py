"""Environments with old interfaces are adapted, or refused by an error that names the adapter.

The expected results are those of a current environment with the same dynamics.
"""

import contextlib
import copy
import pickle
import re
import warnings

import gymnasium
import numpy as np
import pettingzoo
import pytest
from gymnasium.spaces import Box, Discrete
from gymnasium.utils.env_checker import check_env as check_gymnasium_env
from gymnasium.wrappers import TimeLimit
from old_gym_spaces import FIXED, VARYING, gym

from pufferlib.emulation import GymnasiumPufferEnv, Layout, PettingZooPufferEnv, native
from pufferlib.exceptions import ArgumentError, ContractError, OldInterfaceWarning, WorkerError
from pufferlib.old_interfaces.gym_spaces import gymnasium_space
from pufferlib.old_interfaces.recognition import adapted
from pufferlib.registry._emulated import emulate
from pufferlib.testing import check_env
from pufferlib.vector import Multiprocessing, Serial, make
from pufferlib.wrappers import (
    EpisodeStats,
    EqualSpaceTeams,
    MultiAgentEpisodeStats,
    OldAECEnv,
    OldGymEnv,
    OldParallelEnv,
    check_nan,
    featurize,
    shape_reward,
    silence,
)

SPACE, ACTIONS = Box(0, 9, (2,), np.float32), Discrete(2)


class Dice:
    """The dynamics of all environments below: an episode of three throws; the second is late."""

    def __init__(self):
        self.random, self.episode, self.now = np.random.default_rng(0), 0, 0

    def seed(self, seed):
        self.random, self.episode = np.random.default_rng(seed), 0

    def begin(self):
        self.episode, self.now = self.episode + 1, 0
        return self.show()

    def throw(self):
        self.now += 1
        return self.show(), float(self.now), self.now == 3, self.episode % 2 == 0

    def show(self):
        return np.array([self.now, self.random.integers(10)], np.float32)


class Current(gymnasium.Env):
    """The interface of today."""

    observation_space, action_space = SPACE, ACTIONS

    def __init__(self):
        self.dice = Dice()

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        if seed is not None:
            self.dice.seed(seed)
        return self.dice.begin(), {}

    def step(self, action):
        observation, reward, ends, is_late = self.dice.throw()
        return observation, reward, ends and not is_late, ends and is_late, {"now": self.dice.now}


class NoOptions(Current):
    def reset(self, seed=None):
        return super().reset(seed=seed)


class ReturnInfo(Current):
    """The interface of gym 0.22 to 0.25, in a class of Gymnasium."""

    def reset(self, *, seed=None, return_info=False, options=None):
        observation, info = super().reset(seed=seed)
        return (observation, info) if return_info else observation

    def step(self, action):
        observation, reward, ends, is_late = self.dice.throw()
        info = {"now": self.dice.now}
        if ends:
            info["TimeLimit.truncated"] = is_late
        return observation, reward, ends, info


class Duck:
    """The interface of gym before 0.22, without a base class."""

    observation_space, action_space = SPACE, ACTIONS
    metadata = {"render.modes": ["human", "rgb_array"], "video.frames_per_second": 7}  # noqa: RUF012

    def __init__(self):
        self.dice, self.is_closed = Dice(), False

    def seed(self, seed=None):
        self.dice.seed(seed)

    def reset(self):
        return self.dice.begin()

    step = ReturnInfo.step

    def render(self, mode="human"):
        return np.zeros((2, 2, 3), np.uint8) if mode == "rgb_array" else None

    def close(self):
        self.is_closed = True


class OldGym(Duck, gym.Env):
    observation_space = gym.spaces.Box(0, 9, (2,), np.float32)
    action_space = gym.spaces.Discrete(2)


class Gym26(gym.Env):
    """The interface of gym 0.26: that of today, in a class of gym."""

    observation_space, action_space = OldGym.observation_space, OldGym.action_space
    __init__, step = Current.__init__, Current.step

    def reset(self, *, seed=None, options=None):
        if seed is not None:
            self.dice.seed(seed)
        return self.dice.begin(), {}


class GeneratorOnly(gymnasium.Env):
    """Takes no seed, and draws from the generator of `gymnasium.Env`."""

    observation_space, action_space = SPACE, ACTIONS

    def reset(self):
        return self.np_random.integers(10, size=2).astype(np.float32), {}

    def step(self, action):
        return np.zeros(2, np.float32), 0.0, True, False, {}


class Pair(pettingzoo.ParallelEnv):
    """Two agents with the same dice; the interface of today."""

    metadata = {"name": "pair"}  # noqa: RUF012
    possible_agents = ("a", "b")

    def __init__(self):
        self.dice = {agent: Dice() for agent in self.possible_agents}
        self.spaces, self.agents = {agent: copy.copy(ACTIONS) for agent in self.dice}, []

    def observation_space(self, agent):
        return SPACE

    def action_space(self, agent):
        return self.spaces[agent]

    def reset(self, seed=None, options=None):
        for number, dice in enumerate(self.dice.values()):
            if seed is not None:
                dice.seed(seed + number)
        self.agents = list(self.possible_agents)
        shown = {agent: dice.begin() for agent, dice in self.dice.items()}
        return shown, {agent: {} for agent in self.agents}

    def throw(self):
        thrown = {agent: dice.throw() for agent, dice in self.dice.items()}
        if self.dice["a"].now == 3:
            self.agents = []
        return thrown

    def step(self, actions):
        thrown = self.throw()
        return (
            {agent: result[0] for agent, result in thrown.items()},
            {agent: result[1] for agent, result in thrown.items()},
            {agent: result[2] and not result[3] for agent, result in thrown.items()},
            {agent: result[2] and result[3] for agent, result in thrown.items()},
            {agent: {"now": self.dice[agent].now} for agent in thrown},
        )


class OldPair(Pair):
    """The interface of PettingZoo before 1.15."""

    observation_spaces = dict.fromkeys(Pair.possible_agents, SPACE)
    observation_space = pettingzoo.ParallelEnv.observation_space
    action_space = pettingzoo.ParallelEnv.action_space
    action_spaces = property(lambda self: self.spaces)

    def seed(self, seed=None):
        for number, dice in enumerate(self.dice.values()):
            dice.seed(seed + number)

    def reset(self):
        return super().reset()[0]

    def step(self, actions):
        observations, rewards, terminations, truncations, infos = Pair.step(self, actions)
        dones = {agent: terminations[agent] or truncations[agent] for agent in rewards}
        for agent in dones:
            infos[agent]["TimeLimit.truncated"] = truncations[agent]
        return observations, rewards, dones, infos


class ReturnInfoPair(OldPair):
    """The interface of PettingZoo 1.15 to 1.21."""

    def reset(self, seed=None, return_info=False, options=None):
        observations, infos = Pair.reset(self, seed)
        return (observations, infos) if return_info else observations


class DuckPair:
    """As OldPair, without a base class."""

    possible_agents, observation_spaces = Pair.possible_agents, OldPair.observation_spaces
    action_spaces = OldPair.action_spaces
    __init__, seed, throw = Pair.__init__, OldPair.seed, Pair.throw

    def reset(self):
        return Pair.reset(self)[0]

    def step(self, actions):
        return OldPair.step(self, actions)


class NoMetadata(Pair):
    metadata = property()  # as if the class had none

    def __init__(self):
        super().__init__()


class Cycle(pettingzoo.AECEnv):
    """Two agents in turn, two rounds; with the dones and the spaces of PettingZoo before 1.22."""

    metadata = {"name": "cycle", "is_parallelizable": True}  # noqa: RUF012
    render_mode = None
    possible_agents = ("a", "b")
    observation_spaces = dict.fromkeys(possible_agents, SPACE)
    action_spaces = dict.fromkeys(possible_agents, ACTIONS)

    def reset(self):
        self.agents = list(self.possible_agents)
        self.agent_selection, self.now = "a", 0
        self.rewards = dict.fromkeys(self.agents, 0.0)
        self._cumulative_rewards = dict.fromkeys(self.agents, 0.0)
        self.dones = dict.fromkeys(self.agents, False)
        self.infos = {agent: {} for agent in self.agents}

    def observe(self, agent):
        return np.array([self.now, self.possible_agents.index(agent)], np.float32)

    def step(self, action):
        if self.dones[self.agent_selection]:
            return self._was_done_step(action)
        is_last = self.agent_selection == "b"
        self.now += is_last
        self.rewards = dict.fromkeys(self.agents, float(is_last))
        if self.now == 2:
            self.dones = dict.fromkeys(self.agents, True)
        self.agent_selection = "a" if is_last else "b"
        return None


OLD_SINGLE = [NoOptions, ReturnInfo, Duck, OldGym, Gym26]
OLD_PAIRS = [OldPair, ReturnInfoPair, DuckPair]


def played(vecenv):
    """Return all rows of four episodes."""
    with contextlib.closing(vecenv):
        rows = [vecenv.reset(seed=5)[0].copy()]
        vecenv.action_space.seed(0)
        for _ in range(12):
            batch = vecenv.step(vecenv.action_space.sample())
            rows += [array.copy() for array in (*batch[:4], vecenv.final_observations)]
    return np.concatenate([row.ravel() for row in rows])


@pytest.mark.parametrize("emulated", [native, lambda env: emulate(env, "me")], ids=["bare", "run"])
@pytest.mark.parametrize("old", OLD_SINGLE)
def test_an_old_environment_plays_as_the_current_one(old, emulated):
    expected = played(make(lambda: emulated(Current()), num_envs=2, backend=Serial))
    given = played(make(lambda: emulated(old()), num_envs=2, backend=Serial))
    np.testing.assert_array_equal(given, expected)


@pytest.mark.parametrize("emulated", [native, lambda env: emulate(env, "me")], ids=["bare", "run"])
@pytest.mark.parametrize("old", [*OLD_PAIRS, NoMetadata])
def test_an_old_parallel_environment_plays_as_the_current_one(old, emulated):
    expected = played(make(lambda: emulated(Pair()), num_envs=2, backend=Serial))
    given = played(make(lambda: emulated(old()), num_envs=2, backend=Serial))
    np.testing.assert_array_equal(given, expected)


@pytest.mark.parametrize(("old", "current"), [(OldGym, Current), (OldPair, Pair)])
def test_old_environments_play_in_worker_processes(old, current):
    expected = played(make(current, num_envs=2, backend=Serial))
    given = played(make(old, num_envs=2, num_workers=2, backend=Multiprocessing))
    np.testing.assert_array_equal(given, expected)


@pytest.mark.parametrize("emulated", [PettingZooPufferEnv, lambda env: emulate(env, "me")])
def test_an_aec_environment_with_dones_plays_to_its_end(emulated):
    env = emulated(Cycle())
    observations, _ = env.reset(seed=0)
    assert {agent: row.tolist() for agent, row in observations.items()} == {
        "a": [0, 0],
        "b": [0, 1],
    }
    for now in (1, 2):
        observations, rewards, terminations, truncations, _ = env.step({"a": 0, "b": 1})
        assert {agent: row.tolist() for agent, row in observations.items()} == {
            "a": [now, 0],
            "b": [now, 1],
        }
        assert rewards == {"a": 1, "b": 1}
        assert terminations == dict.fromkeys("ab", now == 2)
        assert truncations == dict.fromkeys("ab", False)
    assert env.agents == []
    assert set(env.reset()[0]) == {"a", "b"}


@pytest.mark.parametrize(
    ("creator", "said"),
    [
        (NoOptions, "NoOptions.* has an old interface: reset takes no options. pufferlib.wrappers"),
        (ReturnInfo, "reset returns no info; step returns done instead"),
        (
            OldGym,
            "it is not a gymnasium.Env; reset takes no seed; reset takes no options; reset returns "
            "no info; step returns done instead of terminated and truncated. pufferlib.wrappers."
            "OldGymEnv adapts it",
        ),
        (
            OldPair,
            "no seed; .*dones instead of terminations and truncations.*OldParallelEnv adapts",
        ),
        (Cycle, "reset takes no seed, so seeds have no effect; .* it has dones .*OldAECEnv adapts"),
        (NoMetadata, "has no metadata. Add metadata = "),
    ],
)
def test_check_env_accepts_an_old_interface_and_explains_it(creator, said):
    with pytest.warns(OldInterfaceWarning, match=said):
        check_env(creator)


def test_check_env_does_not_warn_of_current_interfaces():
    check_env(Current)
    check_env(Pair)


HALF = {
    "no info": (Current, {"reset": lambda env, **_: env.dice.begin()}, "reset returns array"),
    "four results": (Current, {"step": ReturnInfo.step}, "step returns 4 results"),
    "no infos": (Pair, {"reset": lambda env, **_: Pair.reset(env)[0]}, "reset returns {'a'"),
    "four dicts": (Pair, {"step": OldPair.step}, "step returns 4 results"),
}


@pytest.mark.parametrize("emulated", [native, lambda env: emulate(env, "me")], ids=["bare", "run"])
@pytest.mark.parametrize(("base", "changes", "said"), HALF.values(), ids=HALF)
def test_results_of_an_old_interface_are_refused_with_the_adapter(base, changes, said, emulated):
    # Its reset takes seed and options, so it is not recognized as old.
    half = type("Half", (base,), changes)
    adapter = "OldGymEnv" if base is Current else "OldParallelEnv"
    with pytest.raises(ContractError, match=f"{re.escape(said)}.*pufferlib.wrappers.{adapter}"):
        step_once(emulated(half()))
    fixed = OldGymEnv(half()) if base is Current else OldParallelEnv(half())
    step_once(emulated(fixed))
    with pytest.raises(ContractError, match=f"pufferlib.wrappers.{adapter}"):
        check_env(half)


def step_once(env):
    env = native(env)
    env.reset(seed=0)
    env.step(np.zeros(env.num_agents, np.int64))


class Passing(gymnasium.Wrapper):
    """A wrapper of the user."""


def step_emulated(env):
    env = GymnasiumPufferEnv(env)
    env.reset()
    env.step(0)


def step_vectorized(env):
    with contextlib.closing(make(lambda: env, num_envs=1, backend=Serial)) as envs:
        envs.reset(seed=0)
        try:
            envs.step(np.zeros(envs.num_agents, np.int64))
        except WorkerError as error:
            raise error.__cause__ from None


class Unpacking(pettingzoo.utils.BaseParallelWrapper):
    def step(self, actions):
        observations, rewards, terminations, truncations, infos = super().step(actions)
        return observations, rewards, terminations, truncations, infos


ADAPTER = "step returns 4 results instead of five.*pufferlib.wrappers.Old{}Env before"


@pytest.mark.parametrize("wrap", [lambda env: env, EpisodeStats], ids=["bare", "statistics"])
@pytest.mark.parametrize("step", [step_once, step_emulated, step_vectorized])
def test_four_results_inside_a_wrapper_are_refused_with_the_adapter(step, wrap):
    half = type("Half", (Current,), {"step": ReturnInfo.step})
    with pytest.raises(ContractError, match="Half.*" + ADAPTER.format("Gym")):
        step(wrap(TimeLimit(half(), 4)))
    step(wrap(TimeLimit(OldGymEnv(half()), 4)))


@pytest.mark.parametrize("step", [step_once, step_vectorized])
def test_four_results_inside_a_parallel_wrapper_are_refused_with_the_adapter(step):
    half = type("Half", (Pair,), {"step": OldPair.step})
    with pytest.raises(ContractError, match=ADAPTER.format("Parallel")):
        step(Unpacking(half()))


@pytest.mark.parametrize("base", [Current, Duck, Pair, OldPair])
@pytest.mark.parametrize("step", [step_once, step_vectorized])
def test_a_step_that_returns_nothing_is_refused(step, base):
    class Mute(base):
        def step(self, actions):
            return None

    wrappers = [lambda env: env]
    if base in (Current, Duck):
        wrappers += [EpisodeStats]
    if base is Current:
        wrappers += [lambda env: TimeLimit(env, 4)]
    if base is Pair:
        wrappers += [MultiAgentEpisodeStats, Unpacking]
    said = r"step of .* (returned|does not return) .*\. Return \(observation"
    for wrap in wrappers:
        with pytest.raises(ContractError, match=said):
            step(wrap(Mute()))


def test_an_unpacking_error_of_the_environment_itself_is_raised_unchanged():
    class Broken(Current):
        def step(self, action):
            a, b, c, d, e = (1, 2, 3, 4)
            return a, b, c, d, e

    for step in (step_once, step_emulated, step_vectorized):
        with pytest.raises(ValueError, match="expected 5, got 4"):
            step(TimeLimit(Broken(), 4))


@pytest.mark.parametrize("old", [NoOptions, GeneratorOnly])
def test_an_old_environment_inside_a_wrapper_is_refused_with_the_adapter(old):
    with pytest.raises(ContractError, match=f"{old.__name__}.*options.*wrappers.OldGymEnv before"):
        GymnasiumPufferEnv(Passing(old())).reset(seed=0)
    GymnasiumPufferEnv(Passing(OldGymEnv(old()))).reset(seed=0)


def test_dones_inside_a_wrapper_are_refused_with_the_adapter():
    class Dones(Cycle):
        def observation_space(self, agent):
            return SPACE

        def action_space(self, agent):
            return ACTIONS

        def reset(self, seed=None, options=None):
            super().reset()

    with pytest.raises(ContractError, match=r"dones instead of .*pufferlib.wrappers.OldAECEnv"):
        PettingZooPufferEnv(Dones()).reset()
    PettingZooPufferEnv(OldAECEnv(Dones())).reset()


def test_a_type_error_of_the_environment_itself_is_raised_unchanged():
    class Broken(Current):
        def reset(self, *, seed=None, options=None):
            return len(3)

    with pytest.raises(TypeError, match="has no len"):
        GymnasiumPufferEnv(Passing(Broken())).reset()


def test_a_seed_reaches_the_generator_of_gymnasium():
    env = adapted(GeneratorOnly())
    expected = np.random.default_rng(3).integers(10, size=2)
    np.testing.assert_array_equal(env.reset(seed=3)[0], expected)


@pytest.mark.parametrize("make_space", [*FIXED.values(), *VARYING.values()], ids=[*FIXED, *VARYING])
def test_spaces_of_gym_become_the_equal_ones_of_gymnasium(make_space):
    space = make_space(gym.spaces)
    made = gymnasium_space(space)
    assert isinstance(made, gymnasium.Space)
    assert made == make_space(gymnasium.spaces)
    assert Layout.of(made).space == Layout.of(space).space


@pytest.mark.parametrize("old", OLD_SINGLE)
def test_an_adapted_environment_passes_gymnasiums_check(old):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*(from the unwrapped|the `seed` function|a spec)")
        check_gymnasium_env(adapted(old()))


# pettingzoo.test imports PettingZoo's environments in a way that PettingZoo has deprecated.
@pytest.mark.filterwarnings("ignore:The old environment creation API:DeprecationWarning")
@pytest.mark.parametrize("old", OLD_PAIRS)
def test_an_adapted_parallel_environment_passes_pettingzoos_tests(old):
    from pettingzoo.test import parallel_api_test, parallel_seed_test

    parallel_seed_test(lambda: adapted(old()), num_cycles=20)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*takes no options, so {'options': 1} has no effect")
        parallel_api_test(PettingZooPufferEnv(old()), num_cycles=20)


def test_an_observation_of_two_parts_is_not_taken_for_observation_and_info():
    class Parts(Duck):
        observation_space = gymnasium.spaces.Tuple([SPACE, gymnasium.spaces.Dict(a=Discrete(2))])

        def reset(self):
            return np.zeros(2, np.float32), {"a": 1}

    (_, part), info = adapted(Parts()).reset()
    assert (part, info) == ({"a": 1}, {})


@pytest.mark.parametrize("old", [Duck, NoOptions, OldPair])
def test_options_that_an_environment_does_not_take_have_no_effect_with_a_warning(old):
    env = adapted(old())
    env.reset(options={})
    with pytest.warns(
        UserWarning, match=r"takes no options, so {'level': 3} has no effect\. Leave"
    ):
        env.reset(options={"level": 3})


def test_attributes_rendering_and_closing_are_those_of_the_environment():
    bare = Duck()
    env = adapted(bare)
    assert env.unwrapped is env  # a gymnasium.Env, which the bare one is not
    assert env.get_wrapper_attr("is_closed") is False
    env.set_wrapper_attr("mood", "good")
    assert (bare.mood, env.mood) == ("good", "good")
    assert env.metadata == {"render_modes": ["human", "rgb_array"], "render_fps": 7}
    assert env.render_mode == "rgb_array"
    assert env.render().shape == (2, 2, 3)
    assert OldGymEnv(bare, render_mode="human").render() is None
    env.close()
    assert bare.is_closed


class OldWrapper:
    """A wrapper of an early gym: attributes that it lacks are those of the environment."""

    shown = "by the wrapper"

    def __init__(self, env):
        self.env = env

    def __getattr__(self, name):
        if name.startswith("_") or name == "env":
            raise AttributeError(name)
        return getattr(self.env, name)

    def reset(self):
        return self.env.reset()

    def step(self, action):
        return self.env.step(action)


@pytest.mark.parametrize("wrap", [lambda env: env, Passing, EpisodeStats])
def test_an_attribute_is_set_through_the_wrappers_of_an_early_gym(wrap):
    bare = Duck()
    wrapper = OldWrapper(bare)
    env = wrap(OldGymEnv(OldWrapper(wrapper)))
    assert env.set_wrapper_attr("is_closed", True, force=False) is True
    assert vars(bare)["is_closed"] is True
    assert env.set_wrapper_attr("mood", "good", force=False) is False
    assert not env.has_wrapper_attr("mood")
    assert env.unwrapped.set_wrapper_attr("render_mode", "human") is True
    assert env.get_wrapper_attr("render_mode") == "human"
    wrapper.level = 1
    env.set_wrapper_attr("level", 2)
    assert (wrapper.level, "level" in vars(bare)) == (2, False)


def test_an_attribute_inside_a_gymnasium_wrapper_with_an_old_reset_is_found_and_set():
    class OldPassing(Passing):
        def reset(self):
            return self.env.reset()[0]

    bare = Current()
    env = adapted(OldPassing(bare))
    assert isinstance(env, OldGymEnv)
    assert env.get_wrapper_attr("dice") is bare.dice
    env.set_wrapper_attr("dice", None)
    assert bare.dice is None


@pytest.mark.parametrize("wrap", [lambda env: env, OldWrapper, OldGymEnv, EpisodeStats])
def test_one_old_environment_for_all_rows_is_refused(wrap):
    shared = Duck()
    with pytest.raises(ArgumentError, match="Each environment must be a new object"):
        make(lambda: wrap(shared), num_envs=2, backend=Serial)
    with (
        pytest.warns(OldInterfaceWarning),
        pytest.raises(ContractError, match="returned the same environment"),
    ):
        check_env(lambda: wrap(shared))


def test_generator_and_spec_are_those_of_the_environment():
    bare = GeneratorOnly()
    bare.spec = gymnasium.envs.registration.EnvSpec("Generator-v0")
    env = adapted(bare)
    env.reset(seed=3)
    assert env.np_random is bare.np_random
    assert (env.np_random_seed, env.spec) == (3, bare.spec)
    env.np_random = np.random.default_rng(4)
    assert bare.np_random is env.np_random
    duck = adapted(Duck())
    duck.reset(seed=3)
    assert (duck.np_random_seed, duck.spec) == (3, None)
    assert duck.np_random.random() == np.random.default_rng(3).random()


@pytest.mark.parametrize("old", [Duck, OldPair, Cycle])
def test_an_adapted_environment_can_be_copied_and_pickled(old):
    env = adapted(old())
    for other in (copy.deepcopy(env), pickle.loads(pickle.dumps(env))):
        other.reset(seed=0)
        assert other.env is not env.env


@pytest.mark.parametrize(
    "wrap",
    [
        lambda env: featurize(env, lambda observation: observation, SPACE),
        lambda env: shape_reward(env, lambda reward, observation, info: reward),
        check_nan,
        silence,
    ],
    ids=["featurize", "shape_reward", "check_nan", "silence"],
)
def test_wrappers_take_old_environments(wrap):
    for old in (OldGym, OldPair):
        step_once(wrap(old()))


def test_statistics_and_teams_take_old_environments():
    step_once(EpisodeStats(OldGym()))
    step_once(EqualSpaceTeams(OldPair()))


def test_vectorized_environments_and_other_objects_are_not_taken_for_one_environment():
    vectorized = gymnasium.vector.SyncVectorEnv([Current])
    for other in (vectorized, Duck, 3, None):
        assert adapted(other) is other
    with pytest.raises(ArgumentError, match="if it is one environment, not a vectorized one"):
        native(vectorized)
