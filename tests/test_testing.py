"""The conformance kit passes what keeps the contract, and names each breach of it."""

import contextlib
import itertools
import re

import gymnasium
import numpy as np
import pytest
from environments import Countdown, Population, Sampler
from gymnasium.spaces import Box, Dict, Discrete
from spaces_cases import over_spaces

from pufferlib.environment import PufferEnv
from pufferlib.exceptions import CallOrderError, ContractError
from pufferlib.registry.ocean.squared import Squared
from pufferlib.testing import check_env, check_vector
from pufferlib.vector import Serial

lives = itertools.count(2)  # of all instances: chance that no seed reaches


class Good(PufferEnv):
    """Two agents draw numbers; the second is absent on odd steps; every third step is the last."""

    def __init__(self):
        self.single_observation_space = Box(-1, 1, (2,), np.float32)
        self.single_action_space = Discrete(3)
        self.num_agents = 2
        super().__init__()

    def reset(self, seed=None):
        self.random, self.now = np.random.default_rng(seed), 0
        self._show()
        return self.observations, []

    def step(self, actions):
        self.now += 1
        self._show()
        ends = self.now % 3 == 0
        self.truncations[0] = ends
        self.final_observations[:] = 1 if ends else next(lives)  # stale rows may hold anything
        infos = [{"length": 3}] if ends else []
        return self.observations, self.rewards, self.terminals, self.truncations, infos

    def _show(self):
        self.observations[:] = self.random.uniform(-1, 1, (2, 2))
        self.rewards[:] = self.random.normal(size=2)
        self.terminals[:] = self.truncations[:] = False
        self.masks[:] = True
        if self.now % 2:
            self.observations[1], self.rewards[1], self.masks[1] = 0, 0, False


def broken(method, breach):
    """Return `Good` whose method's result, and rows, `breach(env, result)` has spoilt."""

    class Broken(Good):
        pass

    def spoilt(self, argument=None):
        result = getattr(Good, method)(self, argument)
        spoiled = breach(self, result)
        return result if spoiled is None else spoiled

    setattr(Broken, method, spoilt)
    return Broken


def write(name, index, value):
    return lambda env, result: getattr(env, name).__setitem__(index, value)


def infos(value):
    return lambda env, result: (*result[:-1], value)


def rebind_observations(env, result):
    env.observations = env.observations + 0
    return (env.observations, *result[1:])


def end_while_absent(env, result):
    env.terminals[1] = getattr(env, "was_absent", False)
    env.was_absent = not env.masks[1]


BREACHES = {
    "observation out of bounds": ("step", write("observations", 0, 1.5), "outside its observation"),
    "first observation out of bounds": ("reset", write("observations", 0, -3), "Reset has val"),
    "final observation out of bounds": ("step", write("final_observations", 0, 2), "final observ"),
    "reward not a number": ("step", write("rewards", 0, np.nan), "rewards of step 1"),
    "absent agent observed": ("step", write("observations", 1, 0.5), "masks False that are not z"),
    "absent agent rewarded": ("step", write("rewards", 1, 0.5), "masks False that are not zero"),
    "absent agent ended": ("step", end_while_absent, "ends the episode of an agent whose mas"),
    "ended at reset": ("reset", write("terminals", 0, True), "set after reset"),
    "masks left unwritten": ("reset", write("masks", slice(None), False), "masks False that are"),
    "other array at reset": ("reset", rebind_observations, "Reset returns observations that are n"),
    "other array at a step": ("step", rebind_observations, "Step 1 returns observations that are"),
    "list of rows": ("step", lambda env, result: ([[0, 0]] * 2, *result[1:]), "are not the rows"),
    "infos not a list": ("step", infos({"a": 1}), "infos of step 1 are {'a': 1}"),
    "empty info": ("step", infos([{}]), "infos of step 1 are [{}]"),
    "info not a dict": ("reset", infos(["text"]), "infos of reset are"),
    "unpicklable info": ("step", infos([{"f": lambda: 0}]), "An info of step 1 cannot be pickled"),
    "unseeded chance": (
        "step",
        lambda env, result: env.rewards.__setitem__(0, next(lives)),
        "rewards of step 1 differ after reset with the same seed",
    ),
}


@pytest.mark.parametrize(("method", "breach", "said"), BREACHES.values(), ids=BREACHES)
def test_a_breach_is_found_and_named(method, breach, said):
    with pytest.raises(ContractError, match=f"(?i){re.escape(said)}"):
        check_env(broken(method, breach))


@pytest.mark.parametrize("method", ["reset", "step"])
def test_a_reward_left_unwritten_is_found(method):
    class Silent(Good):
        pass

    def silent(self, argument=None):
        before = self.rewards[0].copy()
        result = getattr(Good, method)(self, argument)
        self.rewards[0] = before
        return result

    setattr(Silent, method, silent)
    with pytest.raises(ContractError, match=rf"Rewards of {method}.* are \[\s*nan"):
        check_env(Silent)


def test_a_difference_between_instances_is_found():
    class Numbered(Good):
        def __init__(self):
            self.number = next(lives)
            super().__init__()

        def reset(self, seed=None):
            result = super().reset(seed)
            self.rewards[0] = self.number
            return result

    with pytest.raises(ContractError, match="Rewards of step 0 differ in a second instance"):
        check_env(Numbered)


def test_chance_is_let_pass_where_it_is_declared():
    unseeded = broken("step", lambda env, result: env.rewards.__setitem__(0, next(lives)))
    check_env(unseeded, is_deterministic=False)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("single_observation_space", Dict(a=Discrete(2))),
        ("single_action_space", Dict(a=Discrete(2))),
        ("num_agents", 2.0),
        ("num_agents", 0),
    ],
)
def test_attributes_that_do_not_describe_rows_are_found(name, value):
    def make():
        env = Good()
        setattr(env, name, value)
        return env

    with pytest.raises(ContractError, match=f"(?i){name} is "):
        check_env(make)


def test_an_environment_is_closed_even_where_it_breaks_its_contract():
    closed = []

    class Broken(broken("step", infos(None))):
        def close(self):
            closed.append(True)

    with pytest.raises(ContractError, match="Infos of step 1 are None"):
        check_env(Broken)
    assert closed == [True]


@pytest.mark.parametrize(
    "creator",
    [Good, Squared, Countdown, Population, lambda: gymnasium.make("CartPole-v1")],
    ids=["native", "squared", "gymnasium", "pettingzoo", "registered"],
)
def test_an_environment_that_keeps_its_contract_passes(creator):
    check_env(creator)


@over_spaces
def test_emulation_keeps_the_contract_over_any_space(space):
    check_env(Sampler, space, space, steps=3)


def test_a_vectorizer_that_keeps_its_contract_passes_and_stays_open():
    vecenv = Serial(Population, num_envs=2)
    check_vector(vecenv, steps=20)
    vecenv.reset(seed=0)
    vecenv.close()


class Eager(Serial):
    """Takes steps before the first reset."""

    def send(self, actions):
        with contextlib.suppress(CallOrderError):
            super().send(actions)


def spoilt_batch(**changes):
    """Return a Serial whose batches have fields replaced by functions of the batch."""

    class Spoilt(Serial):
        def recv(self):
            batch = super().recv()
            return batch._replace(**{name: new(batch) for name, new in changes.items()})

    return Spoilt


@pytest.mark.parametrize(
    ("backend", "said"),
    [
        (Eager, "send before reset was accepted"),
        (spoilt_batch(env_ids=lambda batch: batch.env_ids * 0), "(?i)env_ids of batch 0 are"),
        (spoilt_batch(env_ids=lambda batch: batch.env_ids + 1), "different rows out of 6"),
        (spoilt_batch(rewards=lambda batch: batch.rewards[:-1]), r"Rewards of batch 0 are \(5,\)"),
        (spoilt_batch(rewards=lambda batch: batch.rewards.astype(float)), "float64. Due is"),
        (spoilt_batch(terminals=lambda batch: batch.terminals.astype(int)), "Terminals of batch"),
        (spoilt_batch(masks=lambda batch: ~batch.masks), "masks False that are not zero"),
        (spoilt_batch(observations=lambda batch: batch.observations[:, :-1]), "Observations of b"),
        (spoilt_batch(infos=lambda batch: [{}]), "Infos of batch 0 are"),
    ],
)
def test_a_vectorizer_that_breaks_its_contract_is_found(backend, said):
    vecenv = backend(Population, num_envs=2)
    with pytest.raises(ContractError, match=said):
        check_vector(vecenv, steps=5)
    vecenv.close()
