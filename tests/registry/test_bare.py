"""From the same seed, by the same actions, our tasks play as the packages' own environments."""

import importlib
from contextlib import closing

import gymnasium
import numpy as np
import pettingzoo
import pytest
from plays import SEED, STEPS, play, play_parallel
from spaces_cases import assert_agree

from pufferlib import registry

OF_ONE_AGENT = [
    *("CartPole-v1", "Pendulum-v1", "LunarLander-v3", "HalfCheetah-v5", "Hopper-v5"),
    *("parking-v0", "two-way-v0", "MiniGrid-DoorKey-5x5-v0", "BabyAI-GoToLocal-v0"),
]
OF_SEVERAL = {
    "simple_spread_v3": lambda: importlib.import_module("mpe2.simple_spread_v3").parallel_env(),
    "battle_v4": lambda: importlib.import_module("magent2.environments.battle_v4").parallel_env(),
    "pursuit_v5": lambda: pettingzoo.make("parallel", "sisl/pursuit_v5"),
    "multiwalker_v9": lambda: pettingzoo.make("parallel", "sisl/multiwalker_v9"),
}


@pytest.mark.parametrize(
    "task",
    [
        pytest.param(task, marks=pytest.mark.long) if task in ("parking-v0", "two-way-v0") else task
        for task in OF_ONE_AGENT
    ],
)
def test_a_task_plays_as_the_packages_own(task):
    module = family_of(task)
    with closing(module.make_env(task)) as env, closing(own(task)) as bare:
        play(env, bare, as_it_is, assert_shown)


@pytest.mark.parametrize("task", OF_SEVERAL)
def test_a_task_of_several_agents_plays_as_the_packages_own(task):
    module = family_of(task)
    with closing(module.make_env(task)) as env, closing(OF_SEVERAL[task]()) as bare:
        play_parallel(env, bare, as_it_is, assert_agree)


@pytest.mark.parametrize("task", ["NetHackScore-v0", "MiniHack-Room-Random-5x5-v0"])
def test_a_game_of_nethack_plays_as_the_packages_own(task):
    keys = ("chars", "colors", "blstats", "message")
    module = family_of(task)
    seeds = np.random.default_rng(SEED).integers(2**31 - 1, size=3).tolist()  # as NetHackEpisode's
    env, bare = module.make_env(task, observation_keys=keys), own(task, observation_keys=keys)
    with closing(env), closing(bare):
        bare.unwrapped.nethack.set_initial_seeds(*seeds[:2], False, seeds[2])
        unflatten = env.observation_layout.unflatten
        env.action_space.seed(SEED)
        assert_shown(unflatten(env.reset(seed=SEED)[0]), bare.reset()[0])
        for _ in range(STEPS):
            action = env.action_space.sample()
            observation, reward, terminated, truncated, _ = env.step(action)
            expected, expected_reward, *ends, _ = bare.step(action)
            assert (reward, terminated or truncated) == (expected_reward, any(ends))
            if any(ends):
                break
            assert_shown(unflatten(observation), expected)


def family_of(task):
    family = registry.resolve(task).family
    for name in family.imports:
        pytest.importorskip(name)
    return registry.load(family.name)


def own(task, **kwargs):
    return gymnasium.make(task, disable_env_checker=True, **kwargs)


def as_it_is(action, _):
    return action


def assert_shown(shown, expected):
    """Refuse a difference in what is shown; a family may leave parts of an observation out."""
    if isinstance(shown, dict):
        expected = {name: expected[name] for name in shown}
    assert_agree(shown, expected)
