"""`check_env` accepts environments that keep the contract, and names each breach of it."""

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


def copied(position):
    """Return a breach that replaces the result of `step` at `position` with a copy."""
    return lambda env, result: (
        *result[:position],
        result[position].copy(),
        *result[position + 1 :],
    )


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
    "other rewards": ("step", copied(1), "Step 1 returns rewards that are not the rows"),
    "other terminals": ("step", copied(2), "Step 1 returns terminals that are not the rows"),
    "other truncations": ("step", copied(3), "returns truncations that are not the rows"),
    "rows cut short": (
        "step",
        lambda env, result: (result[0][:1], *result[1:]),
        "Step 1 returns observations that are not the rows",
    ),
    "four results": ("step", lambda env, result: result[1:], "Step 1 returns a tuple of 4, ("),
    "one result": ("reset", lambda env, result: env.rewards, "Reset returns a ndarray, array("),
    "infinite reward": ("step", write("rewards", 0, np.inf), "rewards of step 1 are [inf"),
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
    "unseeded random numbers": (
        "step",
        lambda env, result: env.rewards.__setitem__(0, next(lives)),
        "rewards of step 1 differ after reset with the same seed",
    ),
}


@pytest.mark.parametrize(("method", "breach", "said"), BREACHES.values(), ids=BREACHES)
def test_a_breach_is_found_and_named(method, breach, said):
    with pytest.raises(ContractError, match=f"(?i){re.escape(said)}"):
        check_env(broken(method, breach))


class Unwritten(Good):
    """Never writes the last observations of its episodes."""

    def step(self, actions):
        before = self.final_observations.copy()
        result = super().step(actions)
        self.final_observations[:] = before
        return result


class Stale(Good):
    """Clears its flags only in a reset."""

    def step(self, actions):
        before = self.truncations.copy()
        result = super().step(actions)
        self.truncations |= before
        self.final_observations[:] = 1
        return result


class Lasting(Good):
    """Clears its flags at the beginning of a step; a reset keeps those of the previous step."""

    def reset(self, seed=None):
        before = self.truncations.copy()
        result = super().reset(seed)
        self.truncations[:] = before
        return result


class Frugal(Good):
    """Reads its observations back, writes masks once, and flags only when they change."""

    def _show(self):
        if self.now == 0:
            self.masks[:], self.rewards[:], self.observations[:] = True, 0, 0
            self.terminals[:] = self.truncations[:] = False

    def step(self, actions):
        self.now += 1
        self.rewards[:] = actions
        if self.now % 3 == 0:
            self.final_observations[0] = self.observations[0]
        self.truncations[0] = self.now % 3 == 0
        self.observations[:] = (self.observations + 0.3) % 1
        return self.observations, self.rewards, self.terminals, self.truncations, []


@pytest.mark.parametrize(
    ("creator", "said"),
    [
        (
            Unwritten,
            "Final_observations of step 3 differ if the rows held other values before .* ends",
        ),
        (Stale, "Truncations of step 4 differ if the rows held other values before .* flags"),
        (Lasting, "Terminals or truncations are set after reset"),
    ],
)
def test_rows_that_depend_on_previous_values_are_found(creator, said):
    with pytest.raises(ContractError, match=said):
        check_env(creator)


def test_an_environment_may_read_rows_that_it_wrote_itself():
    check_env(Frugal)


class Holder(Good):
    """Returns the array of actions that it was given in an info."""

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


@pytest.mark.parametrize("wrap", [lambda env: env, GymnasiumPufferEnv])
def test_an_environment_that_is_returned_twice_is_found(wrap):
    env = Countdown()
    with pytest.raises(ContractError, match="second call of env_creator returned the same"):
        check_env(lambda: wrap(env))


def test_a_nondeterministic_environment_passes_if_declared():
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
            "Step 3 has .* 10 in space['image']. Expected: 0 to 9",
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
def test_a_breach_in_a_part_of_an_observation_is_reported_with_its_path(twist, parts, said):
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
def test_a_breach_in_an_agents_observation_is_reported_with_its_path(part, said):
    class Broken(Population):
        def _observe(self, agent):
            is_odd = self.now == 2 and agent == "through"
            return super()._observe(agent) | (part if is_odd else {})

    with pytest.raises(ContractError, match=said):
        check_env(Broken, allow_nan=False)


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


def test_a_byte_that_is_not_a_bool_is_found():
    check_env(Bytes, steps=1)
    with pytest.raises(ContractError, match=r"Step 2 has .* such as 2 in space\['a'\]"):
        check_env(Bytes, steps=2)


class Reusing(GymnasiumPufferEnv):
    """Returns the same array from every call."""

    def step(self, action):
        observation, *rest = super().step(action)
        self.only = getattr(self, "only", observation)
        self.only[...] = observation
        return self.only, *rest


class ReusingParallel(PettingZooPufferEnv):
    """Returns the same array for an agent from every call."""

    def reset(self, seed=None, options=None):
        observations, infos = super().reset(seed, options)
        self.only = observations
        return dict(observations), infos

    def step(self, actions):
        observations, *rest = super().step(actions)
        for agent, observation in observations.items():
            self.only.setdefault(agent, observation)[...] = observation
        return {agent: self.only[agent] for agent in observations}, *rest


class Nine(gymnasium.Env):
    """Nine steps per episode; the fifth returns the values of its case."""

    observation_space, action_space = Box(-1, 1, (3,)), Discrete(2)

    def __init__(self, **case):
        self.case = case

    def reset(self, *, seed=None, options=None):
        self.now = 0
        return np.zeros(3, np.float32), {}

    def step(self, action):
        self.now += 1
        result = {
            "observation": np.zeros(3, np.float32),
            "reward": 0.0,
            "terminated": self.now == 9,
            "truncated": False,
            "info": {},
        }
        return tuple((result | (self.case if self.now == 5 else {})).values())


class Short(Nine):
    def step(self, action):
        return super().step(action)[1:]


class Bare(Nine):
    def reset(self, *, seed=None, options=None):
        return super().reset()[0]


@pytest.mark.parametrize(
    ("creator", "case", "said"),
    [
        (Nine, {"observation": np.zeros(4, np.float32)}, r"must have shape \(3,\), got \(4,\)"),
        (Nine, {"reward": None}, "Step 5 of .* returns the reward None. Expected: a number"),
        (Nine, {"reward": "1"}, "Step 5 of .* returns the reward '1'"),
        (Nine, {"reward": 1j}, "Step 5 of .* returns the reward 1j"),
        (Nine, {"reward": np.ones(2)}, "Step 5 of .* returns the reward array"),
        (Nine, {"reward": float("inf")}, r"Rewards of step 5 are \[inf\]"),
        (
            Nine,
            {"terminated": "False"},
            "Step 5 of .* returns terminated 'False'. Expected: True or",
        ),
        (Nine, {"truncated": None}, "Step 5 of .* returns truncated None"),
        (Nine, {"info": None}, "Step 5 of .* returns the info None. Expected: a dict"),
        (Short, {}, r"an old interface: step returns 4 results .* pufferlib\.wrappers\.OldGymEnv"),
        (Bare, {}, r"an old interface: reset returns array\(.* instead of \(observation, info\)"),
    ],
)
def test_invalid_results_of_step_and_reset_are_reported(creator, case, said):
    check_env(Nine)
    with pytest.raises(ContractError, match=said):
        check_env(creator, **case)


@pytest.mark.parametrize("flag", [True, np.True_, 1, 1.0, np.ones(1, np.bool_)])
def test_any_bool_or_number_is_accepted_as_a_flag(flag):
    check_env(Nine, terminated=flag, reward=np.float32(1))


@pytest.mark.parametrize(
    ("position", "of_agent", "said"),
    [
        (0, np.zeros(2, np.float32), "Step 2 of .* returns observations of 'stranger'. Expected: "),
        (1, 1.0, "Step 2 of .* returns rewards of 'stranger'"),
    ],
)
def test_results_for_an_unknown_agent_are_found(position, of_agent, said):
    class Broken(Population):
        def step(self, actions):
            result = super().step(actions)
            if self.now == 2:
                result[position]["stranger"] = of_agent
            return result

    with pytest.raises(ContractError, match=said):
        check_env(Broken)


def test_an_invalid_reward_of_an_agent_is_reported():
    class Broken(Population):
        def step(self, actions):
            observations, rewards, *rest = super().step(actions)
            return observations, dict.fromkeys(rewards), *rest

    with pytest.raises(ContractError, match=r"Step 1 of .* the reward None for '"):
        check_env(Broken)


def test_agents_that_have_ended_and_are_still_listed_are_reported():
    class Broken(Population):
        def step(self, actions):
            before, result = self.agents, super().step(actions)
            self.agents = self.agents or before
            return result

    with pytest.raises(
        ContractError, match=r"Step 3 of .* that 'through', 'late' ended, and `agents` st"
    ):
        check_env(Broken)


def test_an_observation_may_be_empty():
    check_env(Sampler, Box(0, 1, (0,)), steps=3)


@pytest.mark.parametrize(
    ("creator", "said"),
    [
        (lambda: Reusing(Countdown()), "observation that step 1 of the emulated .* after step 2"),
        (lambda: ReusingParallel(Population()), "that reset of the emulated .* after step 1"),
    ],
    ids=["gymnasium", "pettingzoo"],
)
def test_an_emulated_environment_that_overwrites_returned_arrays_is_found(creator, said):
    with pytest.raises(ContractError, match=said):
        check_env(creator)


def test_an_environment_that_breaks_its_contract_is_closed():
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
