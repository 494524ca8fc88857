"""`check_env` passes what keeps the contract, and names each breach of it."""

import re

import gymnasium
import numpy as np
import pytest
from contract_cases import Good, Meddler, Tale, broken, count_in_one_info, lives, view_in_info
from environments import Countdown, Population, Sampler
from gymnasium.spaces import Box, Dict, Discrete
from spaces_cases import over_spaces

from pufferlib.emulation import GymnasiumPufferEnv, Layout, PettingZooPufferEnv
from pufferlib.environment import PufferEnv
from pufferlib.exceptions import ContractError
from pufferlib.registry.ocean.squared import Squared
from pufferlib.testing import check_env


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
    "observations in an info": ("step", view_in_info("observations"), "info['seen'][0][1]"),
    "rewards in an info": ("step", view_in_info("rewards"), "holds a view of the rows or actions"),
    "final observations in an info": ("reset", view_in_info("final_observations"), "info of reset"),
    "info that changes": (
        "step",
        count_in_one_info,
        "An info of step 1 has changed after step 2: info['seen'][1] was array([1.]), is array([2",
    ),
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


class Holder(Good):
    """Reports the very array of actions that it was given."""

    def step(self, actions):
        return (*super().step(actions)[:-1], [{"actions": actions}])


@pytest.mark.parametrize(
    ("creator", "said"),
    [
        (Meddler, "Step 1 changes the actions it is given"),
        (Holder, r"An info of step 1 holds a view of the rows or actions, info\['actions'\]"),
    ],
)
def test_actions_belong_to_the_caller(creator, said):
    with pytest.raises(ContractError, match=said):
        check_env(creator)


@pytest.mark.parametrize(
    ("name", "index", "said"),
    [
        ("observations", (0, 0), "Step 1 has NaN"),
        ("final_observations", (0, 0), "The final observations of step 3 has NaN"),
    ],
)
def test_a_nan_is_found_where_none_is_allowed(name, index, said):
    creator = broken("step", write(name, index, np.nan))
    check_env(creator)
    with pytest.raises(ContractError, match=said):
        check_env(creator, allow_nan=False)


@pytest.mark.parametrize("creator", [Good, Countdown, Population])
def test_numbers_pass_where_no_nan_is_allowed(creator):
    check_env(creator, allow_nan=False)


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


def test_a_layout_of_other_rows_is_found():
    class Misled(Good):
        observation_layout = Layout.of(Dict(a=Discrete(2), b=Box(0, 1, (2,))))

    with pytest.raises(ContractError, match="Observation_layout describes rows of Box"):
        check_env(Misled)


WITH_NAN = np.array([np.nan, 0], np.float32)


@pytest.mark.parametrize(
    ("twist", "parts", "said"),
    [
        (
            3,
            {"image": np.array([10, 9], np.uint8)},
            "Step 3 has .* 10 in space['image']. Due is: 0 to 9",
        ),
        (3, {"pair": (0, np.zeros(2))}, "Step 3 has .* such as 0 in space['pair'][0]"),
        (2, {"pair": (1, -2 * np.ones(2))}, "Step 2 has .* as -2.0 in space['pair'][1]"),
        (
            4,
            {"image": np.array([0, 11], np.uint8)},
            "The final .* step 4 has .* as 11 in space['im",
        ),
        (3, {"pair": (1, WITH_NAN)}, "Step 3 has NaN in space['pair'][1]"),
        (4, {"pair": (1, WITH_NAN)}, "The final .* step 4 has NaN in space['pair'][1]"),
        (2, {"image": np.array([0.5, 1])}, "Step 2 of .* value['image'] must have dtype uint8, go"),
        (4, {"image": np.array([256, 0])}, "Step 4 of .* value['image'] must lie within [0, 9], g"),
        (1, {"sky": 1.0}, "Step 1 of .* value['sky'] must have dtype bool, got float64"),
    ],
)
def test_a_breach_in_a_part_of_an_observation_is_found_by_its_path(twist, parts, said):
    with pytest.raises(ContractError, match=re.escape(said).replace(r"\.\*", ".*")):
        check_env(Tale, twist, **parts, allow_nan=False)


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ({"place": 3}, r"Step 2 has values .* as 3 in space\['place'\]"),
        (
            {"clock": np.zeros(2)},
            r"Step 2 of .* value\['clock'\] must have dtype int32, got float64",
        ),
        ({"luck": np.float32(np.nan)}, r"Step 2 has NaN in space\['luck'\]"),
    ],
)
def test_a_breach_in_an_agents_observation_is_found_by_its_path(part, said):
    class Spoilt(Population):
        def _observe(self, agent):
            is_odd = self.now == 2 and agent == "through"
            return super()._observe(agent) | (part if is_odd else {})

    with pytest.raises(ContractError, match=said):
        check_env(Spoilt, allow_nan=False)


class Bytes(PufferEnv):
    """Counts its steps in the byte of a bool."""

    observation_layout = Layout.of(Dict(a=Box(0, 1, (1,), np.bool_), b=Box(-1, 1, (1,), np.int8)))
    single_observation_space, single_action_space = observation_layout.space, Discrete(2)
    num_agents = 1

    def reset(self, seed=None):
        self.rewards[0], self.masks[0], self.observations[0, 0] = 0, True, 0
        return self.observations, []

    def step(self, actions):
        self.rewards[0] = 0
        self.observations[0, 0] += 1
        return self.observations, self.rewards, self.terminals, self.truncations, []


def test_a_byte_that_is_no_bool_is_found():
    check_env(Bytes, steps=1)
    with pytest.raises(ContractError, match=r"Step 2 has .* such as 2 in space\['a'\]"):
        check_env(Bytes, steps=2)


class Reusing(GymnasiumPufferEnv):
    """Returns one array again and again."""

    def step(self, action):
        observation, *rest = super().step(action)
        self.only = getattr(self, "only", observation)
        self.only[...] = observation
        return self.only, *rest


class ReusingParallel(PettingZooPufferEnv):
    """Returns the same array for an agent again and again."""

    def reset(self, seed=None, options=None):
        observations, infos = super().reset(seed, options)
        self.only = observations
        return dict(observations), infos

    def step(self, actions):
        observations, *rest = super().step(actions)
        for agent, observation in observations.items():
            self.only.setdefault(agent, observation)[...] = observation
        return {agent: self.only[agent] for agent in observations}, *rest


@pytest.mark.parametrize(
    ("creator", "said"),
    [
        (lambda: Reusing(Countdown()), "observation that step 1 of the emulated .* after step 2"),
        (lambda: ReusingParallel(Population()), "that reset of the emulated .* after step 1"),
    ],
    ids=["gymnasium", "pettingzoo"],
)
def test_an_emulated_environment_that_writes_over_what_it_returned_is_found(creator, said):
    with pytest.raises(ContractError, match=said):
        check_env(creator)


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
