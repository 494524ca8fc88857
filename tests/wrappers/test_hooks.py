"""A user's function changes observations or rewards, and nothing else."""

import gymnasium
import numpy as np
import pettingzoo
import pytest
from environments import Countdown, Population
from gymnasium.spaces import Box, Discrete
from spaces_cases import assert_agree, samples

from pufferlib.emulation import GymnasiumPufferEnv
from pufferlib.exceptions import ArgumentError
from pufferlib.testing import check_env
from pufferlib.wrappers import check_nan, featurize, shape_reward, silence

NUMBER = Box(0, 2000, (1,), np.float32)


def double_step(observation):
    """Return twice the step in an observation of `Countdown` or `Population`."""
    clock = observation["clock"] if isinstance(observation, dict) else observation
    return np.float32(2) * clock[1:].astype(np.float32)


def shaped(reward, observation, info):
    """Return 1000 if the episode ended, plus the observed step, plus a tenth of the reward."""
    step = observation["clock"][1] if isinstance(observation, dict) else observation[1]
    return 1000 * bool(info) + int(step) + reward / 10


HOOKS = {
    "featurize": lambda env: featurize(env, double_step, NUMBER),
    "shape_reward": lambda env: shape_reward(env, shaped),
    "silence": silence,
    "check_nan": check_nan,
}
over_hooks = pytest.mark.parametrize("hook", list(HOOKS.values()), ids=list(HOOKS))


def test_a_feature_replaces_every_observation():
    env = featurize(Countdown(), double_step, NUMBER)
    assert env.observation_space == NUMBER
    assert_agree(env.reset()[0], np.array([0], np.float32))
    observation, *rest = env.step(0)
    assert_agree(observation, np.array([2], np.float32))
    assert rest == [1.0, False, False, {}]


def test_a_feature_replaces_the_observations_of_every_agent():
    env, bare = featurize(Population(), double_step, NUMBER), Population()
    observations, infos = env.reset(seed=0)
    assert (observations, infos) == ({"early": [0], "through": [0]}, bare.reset(seed=0)[1])
    for step in (1, 2, 3):
        actions = dict.fromkeys(bare.agents, 0)
        observations, *rest = env.step(actions)
        expected, *expected_rest = bare.step(actions)
        assert observations == {agent: [2 * step] for agent in expected}
        assert rest == expected_rest
    assert [env.observation_space(agent) for agent in env.possible_agents] == [NUMBER] * 3


def test_the_shaper_gets_reward_observation_and_info_of_the_same_step():
    env = shape_reward(Countdown(length=2), shaped)
    env.reset()
    observation, reward, *rest = env.step(0)
    assert (observation.tolist(), reward, rest) == ([1, 1], 0 + 1 + 0.1, [False, False, {}])
    observation, reward, *rest = env.step(0)
    assert (observation.tolist(), reward) == ([1, 2], 1000 + 2 + 0.2)
    assert rest == [True, False, {"ends": 1}]


def test_the_shaper_gets_the_values_of_one_agent():
    env, bare = shape_reward(Population(), shaped), Population()
    assert_agree(env.reset(seed=0), bare.reset(seed=0))
    # Rewards are 10 x step + place; "early" ends on step 1, the others on step 3.
    due = [
        {"early": 1000 + 1 + 1.0, "through": 1 + 1.1},
        {"through": 2 + 2.1, "late": 2 + 2.2},
        {"through": 1000 + 3 + 3.1, "late": 1000 + 3 + 3.2},
    ]
    for expected_rewards in due:
        actions = dict.fromkeys(bare.agents, 0)
        observations, rewards, *rest = env.step(actions)
        expected, _, *expected_rest = bare.step(actions)
        assert rewards == expected_rewards
        assert_agree(observations, expected)
        assert rest == expected_rest


class Silent(Population):
    """Returns no observation and no info for an agent in its last step."""

    def step(self, actions):
        observations, rewards, *flags, _ = super().step(actions)
        return {agent: observations[agent] for agent in self.agents}, rewards, *flags, {}


def test_the_shaper_gets_none_for_a_missing_observation():
    given = []
    env = shape_reward(Silent({"a": (0, 1, "terminated")}), lambda *given_: given.append(given_))
    env.reset()
    env.step({"a": 0})
    assert given == [(10.0, None, {})]


@over_hooks
def test_seeds_and_options_reach_the_environment(hook):
    for env in (hook(Countdown()), hook(Population())):
        for _ in range(2):
            env.reset(seed=0, options={"level": 3})
            assert env.unwrapped.options == {"level": 3}
            assert env.unwrapped.episode == 1  # counted since seeded


@over_hooks
def test_attributes_of_the_environment_are_kept(hook):
    bare = Countdown(render_mode="ansi")
    env = hook(bare)
    env.reset()
    assert isinstance(env, gymnasium.Env)
    assert (env.unwrapped, env.metadata, env.action_space) == (bare, bare.metadata, Discrete(2))
    assert (env.render_mode, env.render()) == ("ansi", "episode 1")
    bare = Population(render_mode="ansi")
    env = hook(bare)
    env.reset()
    assert isinstance(env, pettingzoo.ParallelEnv)
    assert (env.unwrapped, env.metadata) == (bare, bare.metadata)
    assert (env.agents, env.possible_agents) == (bare.agents, bare.possible_agents)
    assert (env.render_mode, env.render()) == ("ansi", "episode 1")
    assert env.state().tolist() == [1, 0]
    assert env.action_space("late") is bare.action_space("late")


CARTPOLE = {
    **HOOKS,
    "featurize": lambda env: featurize(env, np.square, env.observation_space),
    "shape_reward": lambda env: shape_reward(env, lambda reward, observation, info: observation[0]),
}


@pytest.mark.parametrize("hook", list(CARTPOLE.values()), ids=list(CARTPOLE))
def test_the_spec_recreates_a_wrapped_environment(hook):
    env = GymnasiumPufferEnv(hook(gymnasium.make("CartPole-v1", disable_env_checker=True)))
    again = gymnasium.make(env.spec)
    assert type(again.env) is type(env.env)
    assert_agree(again.reset(seed=0)[0], env.reset(seed=0)[0])
    for action in samples(env.action_space, 5):
        actual, expected = again.step(action), env.step(action)
        assert_agree(actual[0], expected[0])
        assert actual[1] == expected[1]


@over_hooks
@pytest.mark.parametrize("bare", [Countdown, Population])
def test_a_hooked_environment_keeps_the_contract_when_vectorized(hook, bare):
    check_env(lambda: hook(bare()), steps=20)


# pettingzoo.test imports PettingZoo's environments in a way that PettingZoo has deprecated.
@pytest.mark.filterwarnings("ignore:The old environment creation API:DeprecationWarning")
@over_hooks
def test_pettingzoo_api_tests_pass(hook):
    from pettingzoo.test import parallel_api_test, parallel_seed_test

    parallel_api_test(hook(Population()), num_cycles=20)
    parallel_seed_test(lambda: hook(Population()), num_cycles=20)


NO_ENVIRONMENTS = {
    "a number": (3, r"an instance of builtins\.int\. Wrap the environment before emulation"),
    "a class": (Countdown, r"the class Countdown\. Make the environment first: \w+\(Countdown\("),
    "a function": (gymnasium.make, r"the function make\. Make the environment first: \w+\(make\("),
    "AEC": (pettingzoo.utils.parallel_to_aec(Population()), r"Convert it with .*aec_to_parallel"),
}


@pytest.mark.parametrize(("given", "match"), NO_ENVIRONMENTS.values(), ids=NO_ENVIRONMENTS.keys())
@pytest.mark.parametrize("name", list(HOOKS))
def test_other_objects_are_refused(name, given, match):
    due = rf"{name} takes a gymnasium\.Env or a pettingzoo\.ParallelEnv, got .*{match}"
    with pytest.raises(ArgumentError, match=due):
        HOOKS[name](given)


BAD_ARGUMENTS = {
    "a feature": (
        lambda env: featurize(env, 3, NUMBER),
        r"feature must be a function of one observation, got an instance of builtins\.int\. Pass",
    ),
    "a space": (
        lambda env: featurize(env, double_step, Box),
        r"observation_space must be a gymnasium\.Space, got the class Box\. Pass the space of",
    ),
    "a shaper": (
        lambda env: shape_reward(env, 0.1),
        r"shaper must be a function of a reward, an observation and an info, got .*float\. Pass",
    ),
}


@pytest.mark.parametrize(("make", "match"), BAD_ARGUMENTS.values(), ids=BAD_ARGUMENTS.keys())
@pytest.mark.parametrize("bare", [Countdown, Population])
def test_bad_arguments_are_refused_at_once(make, bare, match):
    with pytest.raises(ArgumentError, match=match):
        make(bare())
