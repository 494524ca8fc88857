"""NaN is refused, and the error names where it was found; all other values pass."""

import numpy as np
import pytest
from environments import Countdown, Fixed, Population
from gymnasium.spaces import Box, Dict, Tuple
from spaces_cases import assert_agree, over_spaces, samples

from pufferlib.exceptions import ObservationError
from pufferlib.wrappers import check_nan

NAN = np.float32(np.nan)

OBSERVATIONS = {
    "a leaf": (np.array([0, NAN]), r"observation\. "),
    "0-d": (NAN, r"observation\. "),
    "half": (np.array([NAN], np.float16), r"observation\. "),
    "in a dict": ({"a": np.ones(2), "b": np.array([NAN])}, r"observation\['b'\]\. "),
    "in a tuple": ((np.ones(2), {"c": NAN}), r"observation\[1\]\['c'\]\. "),
    "in a list that is one array": ([[1.0, NAN], [2.0, 3.0]], r"observation\. "),
    "in a list": ([1, {"c": NAN}], r"observation\[1\]\['c'\]\. "),
    "in a list of unequal shapes": ([np.ones(2), np.array([NAN])], r"observation\[1\]\. "),
    "the first of two": ({"a": (1, NAN), "b": NAN}, r"observation\['a'\]\[1\]\. "),
}


@pytest.mark.parametrize(("observation", "where"), OBSERVATIONS.values(), ids=OBSERVATIONS.keys())
def test_nan_in_an_observation_is_found(observation, where):
    env = check_nan(Fixed(None, observation))
    with pytest.raises(ObservationError, match=f"The reset of .*Fixed.* returned NaN: {where}"):
        env.reset()
    with pytest.raises(ObservationError, match=f"Step 1 since the reset .*: {where}.* Fix the"):
        env.step(0)


class Sick(Countdown):
    """Returns the reward NaN on step 2."""

    def step(self, action):
        observation, reward, *rest = super().step(action)
        return observation, NAN if reward == 2 else reward, *rest


def test_nan_in_a_reward_is_found_on_its_step_counted_from_the_reset():
    env = check_nan(Sick())
    for _ in range(2):
        env.reset()
        assert env.step(0)[1] == 1
        with pytest.raises(ObservationError, match=r"Step 2 since the reset .* NaN: reward\. "):
            env.step(0)
        assert env.step(0)[1] == 3


class SickPopulation(Population):
    """The agent `who` observes NaN luck on step `luck`, and gets reward NaN on step `reward`."""

    def __init__(self, who, luck=None, reward=None):
        super().__init__()
        self.who, self.sick_luck, self.sick_reward = who, luck, reward

    def _observe(self, agent):
        is_sick = agent == self.who and self.now == self.sick_luck
        return super()._observe(agent) | ({"luck": NAN} if is_sick else {})

    def step(self, actions):
        observations, rewards, *rest = super().step(actions)
        if self.now == self.sick_reward:
            rewards[self.who] = NAN
        return observations, rewards, *rest


AGENTS = {
    "on reset": (("early", 0), r"The reset .*observation\['luck'\] of agent 'early'\. "),
    "on a step": (("late", 2), r"Step 2 .*observation\['luck'\] of agent 'late'\. "),
    "in a reward": (("through", None, 3), r"Step 3 .*reward of agent 'through'\. "),
}


@pytest.mark.parametrize(("sick", "match"), AGENTS.values(), ids=AGENTS.keys())
def test_the_agent_is_named(sick, match):
    env = check_nan(SickPopulation(*sick))

    def play():
        env.reset()
        for _ in range(3):
            env.step(dict.fromkeys(env.agents, 0))

    with pytest.raises(ObservationError, match=match):
        play()


@over_spaces
def test_observations_without_nan_are_unchanged(space):
    (observation,) = samples(space, 1)
    env = check_nan(Fixed(space, observation))
    assert env.reset()[0] is observation
    assert env.step(0)[0] is observation


def test_infinities_texts_and_integers_pass():
    observation = {"far": np.array([np.inf, -np.inf]), "word": "nan", "count": 3, "none": None}
    env = check_nan(Fixed(Dict(far=Box(-1, 1, (2,)), pair=Tuple(())), observation))
    assert env.reset()[0] is observation


def test_play_of_many_agents_is_unchanged():
    ours, bare = check_nan(Population()), Population()
    assert_agree(ours.reset(seed=0), bare.reset(seed=0))
    for _ in range(3):
        actions = dict.fromkeys(bare.agents, np.int64(1))
        for actual, expected in zip(ours.step(actions), bare.step(actions), strict=True):
            assert_agree(actual, expected)
