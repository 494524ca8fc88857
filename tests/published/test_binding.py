"""A binding applies the hooks of 0.2 to the observations and rewards of a bare environment."""

import numpy as np
import pytest
from environments import Countdown, Noisy, Population, SteppedPair
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, Tuple

from pufferlib.emulation import Binding, PettingZooPufferEnv
from pufferlib.exceptions import ArgumentError


def test_hooks_get_the_only_agent_and_the_step():
    def parse(observations, step):
        return {agent: observation * 10 + step for agent, observation in observations.items()}

    def shape(rewards, step):
        return {agent: reward * 10 + step for agent, reward in rewards.items()}

    binding = Binding(env_cls=Countdown, feature_parser=parse, reward_shaper=shape)
    env = binding.env_creator()
    # Countdown observes [episode, step], and rewards the step.
    np.testing.assert_array_equal(env.reset(seed=0)[0], [10, 0])
    for step in (1, 2, 3):
        observation, reward, terminated, _, info = env.step(0)
        np.testing.assert_array_equal(observation, [10 + step, 10 * step + step])
        assert reward == 10 * step + step
    assert terminated
    assert info["episode_return"] == 11 + 22 + 33
    np.testing.assert_array_equal(env.reset()[0], [20, 0])


def test_hooks_get_all_agents():
    seen = []

    def parse(observations, step):
        if len(observations) > 1:
            seen.append((set(observations), step))
        return {
            agent: {"luck": np.float32(value["luck"] + 1), "pair": (value["clock"], step % 2 == 0)}
            for agent, value in observations.items()
        }

    def shape(rewards, step):
        return {agent: reward - step for agent, reward in rewards.items()}

    binding = Binding(Population, feature_parser=parse, reward_shaper=shape)
    env, bare = binding.env_creator(), Population()
    assert isinstance(env, PettingZooPufferEnv)
    assert list(env.observation_layout.original) == ["luck", "pair"]
    observations, _ = env.reset(seed=0)
    expected, _ = bare.reset(seed=0)
    assert seen[-1] == (set(expected), 0)
    for agent, value in expected.items():
        found = env.observation_layout.unflatten(observations[agent])
        assert found["luck"] == np.float32(value["luck"] + 1)
        np.testing.assert_array_equal(found["pair"][0], value["clock"])
    actions = dict.fromkeys(bare.agents, 0)
    rewards = env.step(actions)[1]
    assert rewards == {
        agent: reward - 1 for agent, reward in bare.step(dict.fromkeys(actions, -2))[1].items()
    }
    assert seen[-1][1] == 1


@pytest.mark.parametrize("env_cls", [Countdown, Population])
def test_a_constant_horizon_truncates(env_cls):
    env = Binding(env_cls, emulate_const_horizon=2).env_creator()
    env.reset(seed=0)
    is_single = env_cls is Countdown
    for step in (1, 2):
        actions = 0 if is_single else dict.fromkeys(env.agents, 0)
        truncated = env.step(actions)[3]
        ends = [truncated] if is_single else list(truncated.values())
        assert all(ends) == (step == 2)


def test_a_constant_horizon_ends_the_episode_of_all_agents():
    env = Binding(Population, emulate_const_horizon=2).env_creator()
    for _ in range(2):
        env.reset(seed=0)
        steps = 0
        while env.agents:
            env.step(dict.fromkeys(env.agents, 0))
            steps += 1
        assert steps == 2


# pettingzoo.test imports PettingZoo's environments in a way that PettingZoo has deprecated.
@pytest.mark.filterwarnings("ignore:The old environment creation API:DeprecationWarning")
def test_an_environment_with_a_constant_horizon_passes_pettingzoos_own_test():
    from pettingzoo.test import parallel_api_test

    def make():
        return SteppedPair(Box(0, 1, (1,)), np.zeros(1, np.float32))

    parallel_api_test(Binding(make, emulate_const_horizon=3).env_creator(), num_cycles=20)


def test_features_are_probed_with_observations_of_all_agents():
    counts = {5: 1.0, 6: 2.0}

    def parse(observations, step):
        assert set(observations) == {"a", "b"}
        return {agent: np.float32([counts[int(observations["b"])]]) for agent in observations}

    def make():
        return SteppedPair(Discrete(2, start=5), np.int64(6))

    env = Binding(make, feature_parser=parse).env_creator()
    assert env.single_observation_space == Box(-np.inf, np.inf, (1,), np.float32)
    np.testing.assert_array_equal(env.reset()[0]["a"], [2.0])


@pytest.mark.parametrize("is_silent", [True, False])
def test_output_of_the_environment_is_suppressed(is_silent, capfd):
    env = Binding(Noisy, suppress_env_prints=is_silent).env_creator()
    env.reset(seed=0)
    assert (capfd.readouterr().out == "") == is_silent


def test_its_spaces_are_those_of_its_environments():
    binding = Binding(env_creator=Population, env_name="Population", suppress_env_prints=False)
    env = binding.env_creator()
    assert binding.env_name == "Population"
    assert binding.single_observation_space == env.single_observation_space
    assert binding.single_action_space == env.single_action_space
    agent = env.possible_agents[0]
    assert binding.raw_single_observation_space == Population().observation_space(agent)
    assert binding.raw_single_action_space == Population().action_space(agent)
    assert binding.max_agents == len(env.possible_agents)
    assert isinstance(binding.raw_env_creator(), Population)


def test_features_without_bounds_have_their_shape_and_dtype():
    def parse(observations, step):
        features = {"flags": (np.zeros(2, np.int8), np.zeros((2, 2)))}
        return dict.fromkeys(observations, features)

    space = Binding(Countdown, feature_parser=parse).raw_single_observation_space
    low = np.iinfo(np.int8)
    floats = Box(-np.inf, np.inf, (2, 2), np.float64)
    assert space == Dict(flags=Tuple((Box(low.min, low.max, (2,), np.int8), floats)))
    assert MultiBinary(2) != space["flags"][0]


@pytest.mark.parametrize("given", [{}, {"env_cls": Countdown, "env_creator": Countdown}])
def test_a_class_or_a_creator_is_needed(given):
    with pytest.raises(ArgumentError, match="either env_cls or env_creator"):
        Binding(**given)
