"""Environments and vectorizers have the attributes that 1.0 published."""

import functools
import gc

import numpy as np
import pytest
from environments import Countdown, Population

import pufferlib
from pufferlib import emulation, pytorch, vector
from pufferlib.emulation import GymnasiumPufferEnv, PettingZooPufferEnv
from pufferlib.exceptions import ArgumentError, CallOrderError
from pufferlib.registry import ocean


def test_done_says_whether_the_episode_has_ended():
    env = GymnasiumPufferEnv(Countdown(length=2, how="truncated"))
    assert env.done
    env.reset()
    assert [env.done, env.step(0)[3], env.done, env.step(0)[3], env.done] == [
        False,
        False,
        False,
        True,
        True,
    ]
    env.reset()
    assert not env.done
    agents = PettingZooPufferEnv(Population())
    assert agents.done
    agents.reset()
    assert not agents.done


make_bandit = functools.partial(ocean.make_env, "bandit")


@pytest.mark.parametrize("autoreset", ["same_step", "next_step", "disabled"])
@pytest.mark.parametrize("creator", [Countdown, Population, make_bandit])
def test_done_in_a_vectorizer_is_as_the_guide_says(creator, autoreset):
    envs = vector.make(creator, autoreset=autoreset)
    is_native = not isinstance(creator, type)
    assert envs.driver_env.done == (not is_native)
    envs.reset(seed=0)
    assert envs.get_attr("done") == [False]
    is_over = False
    while not is_over:
        envs.send(np.zeros(envs.action_space.shape, envs.action_space.dtype))
        batch = envs.recv()
        ended = batch.terminals | batch.truncations
        is_over = ended.any() and (autoreset == "same_step" or not batch.masks.any())
    assert envs.driver_env.done == (creator is Population and autoreset != "same_step")


@pytest.mark.parametrize("backend", [vector.Serial, vector.Multiprocessing])
def test_a_vectorizer_has_a_driver_env_and_the_published_counts(backend):
    envs = vector.make(make_population, num_envs=2, num_workers=2, backend=backend)
    driver = envs.driver_env
    assert isinstance(driver, PettingZooPufferEnv)
    assert driver is envs.driver_env
    assert driver.single_observation_space == envs.flat_observation_space
    assert envs.emulated == driver.emulated
    rows = 2 * len(driver.possible_agents)
    assert (envs.num_environments, envs.num_envs, envs.agents_per_batch) == (2, 2, rows)
    assert driver.env.render() == "episode 0"
    envs.close()


def make_population():
    return PettingZooPufferEnv(Population())


@pytest.mark.parametrize("task", ocean.FAMILY.tasks)
def test_every_environment_and_its_vectorizer_say_whether_they_are_emulated(task):
    envs = vector.make(ocean.make_env, [task])
    driver = envs.driver_env
    is_native = isinstance(driver, pufferlib.PufferEnv)
    assert bool(envs.emulated) == bool(driver.emulated) == (not is_native)
    assert driver.flat_observation_space == envs.flat_observation_space
    if not is_native:
        assert pytorch.nativize_dtype(driver.emulated) == pytorch.nativize_dtype(envs.emulated)
        return
    assert not driver.done
    assert driver.driver_env is driver
    with pytest.raises(ArgumentError, match="this one is native"):
        pytorch.nativize_dtype(envs.emulated)


@pytest.mark.parametrize("convert", [emulation.to_gymnasium, emulation.to_pettingzoo])
def test_converted_native_environments_have_the_published_attributes(convert):
    env = convert(ocean.make_env("bandit"))  # whose episodes are one step
    assert (env.emulated, env.driver_env, env.done) == (False, env, True)
    for owner in (env, env.env):
        for name in ("flat_observation_space", "flat_observation_structure", "unflatten_context"):
            assert getattr(owner, name) is owner.single_observation_space
    env.reset(seed=0)
    assert not env.done
    env.step(0 if convert is emulation.to_gymnasium else {"agent_0": 0})
    assert env.done


class Closing(Countdown):
    closed = 0

    def close(self):
        type(self).closed += 1
        if self.length == 5:
            raise ValueError("stuck")


def test_the_driver_env_is_closed_with_the_vectorizer():
    envs = vector.make(Closing, backend=vector.Multiprocessing)
    assert envs.driver_env.env.length == 3
    closed = Closing.closed
    envs.close()
    envs.close()
    assert Closing.closed == closed + 1
    with pytest.raises(CallOrderError, match="driver_env after close"):
        _ = envs.driver_env


def test_the_driver_env_is_closed_if_another_does_not_close():
    options = {"num_workers": 2, "caller_steps": True}  # environment 1 is in this process
    envs = vector.make(Closing, num_envs=2, backend=vector.Multiprocessing, **options)
    assert envs.driver_env is not None
    envs.set_attr("length", [3, 5])
    closed = Closing.closed
    with pytest.raises(ValueError, match="stuck"):
        envs.close()
    assert Closing.closed == closed + 2


def test_the_driver_env_is_closed_with_a_vectorizer_that_is_dropped():
    envs = vector.make(Closing, backend=vector.Multiprocessing)
    assert envs.driver_env is not None
    closed = Closing.closed
    del envs
    gc.collect()
    assert Closing.closed == closed + 1
