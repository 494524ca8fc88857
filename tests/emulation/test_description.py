"""`describe` gives policies the same description of every form of an environment."""

import contextlib
import copy
import pickle

import gymnasium
import numpy as np
import pytest
from pettingzoo import ParallelEnv

from pufferlib import vector
from pufferlib.emulation import (
    ActionLayout,
    GymnasiumPufferEnv,
    Layout,
    PettingZooPufferEnv,
    to_gymnasium,
)
from pufferlib.emulation.description import EnvDescription, describe, describe_spaces
from pufferlib.environment import PufferEnv
from pufferlib.exceptions import ArgumentError
from pufferlib.registry import ocean

SPACE = gymnasium.spaces.Dict(
    picture=gymnasium.spaces.Box(0, 255, (2, 3), np.uint8), kind=gymnasium.spaces.Discrete(4)
)


class Nested(gymnasium.Env):
    observation_space = SPACE
    action_space = gymnasium.spaces.Tuple(
        (gymnasium.spaces.Discrete(2), gymnasium.spaces.Box(0, 1))
    )

    def reset(self, *, seed=None, options=None):
        return self.observation_space.sample(), {}

    def step(self, action):
        return self.observation_space.sample(), 0.0, False, False, {}


def test_an_environment_and_a_vectorizer_describe_the_same_rows():
    env = GymnasiumPufferEnv(Nested())
    with_one, with_three = describe(env), describe(vector.make(Nested, num_envs=3))
    for name in ("single_observation_space", "single_action_space"):
        assert getattr(with_one, name) == getattr(with_three, name)
    assert with_one.observation_layout.original == SPACE == with_three.observation_layout.original
    assert with_one.action_layout.original == Nested.action_space
    assert (with_one.num_agents, with_three.num_agents) == (1, 3)


def test_a_flat_space_is_a_layout_of_one_field():
    description = describe(ocean.make_env("squared", num_agents=5))
    (field,) = description.observation_layout.fields
    assert (field.start, field.stop) == (0, 49)
    assert description.action_layout is None
    assert description.num_agents == 5


def test_a_description_is_made_without_an_environment_and_describes_itself():
    box, discrete = gymnasium.spaces.Box(0, 1, (3,)), gymnasium.spaces.Discrete(2)
    layout = describe(vector.make(gymnasium.make, ["CartPole-v1"])).observation_layout
    description = EnvDescription(box, discrete, layout)
    assert describe(description) is description


@pytest.mark.parametrize("is_reset", [False, True])
def test_the_agents_of_a_parallel_environment_are_all_that_can_be(is_reset):
    env = ocean.make_env("multiagent")
    if is_reset:
        env.reset(seed=0)
    assert describe(env).num_agents == 2


@pytest.mark.parametrize("backend", ["Serial", "Multiprocessing"])
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))])
def test_flat_spaces_carry_the_original_ones(backend, copied):
    with contextlib.closing(vector.make(Nested, num_envs=2, backend=backend)) as envs:
        spaces = copied((envs.single_observation_space, envs.single_action_space))
    description = describe_spaces(*spaces)
    assert description.observation_layout.original == SPACE
    assert description.action_layout.original == Nested.action_space
    row = envs.observation_layout.flatten(SPACE.sample())
    assert description.observation_layout.unflatten(row).keys() == {"picture", "kind"}


def test_wrappers_of_gymnasium_keep_the_layouts():
    with contextlib.closing(vector.to_gymnasium(vector.make(Nested, num_envs=2))) as envs:
        description = describe(gymnasium.wrappers.vector.RecordEpisodeStatistics(envs))
    assert description.observation_layout.original == SPACE
    assert description.action_layout.original == Nested.action_space


class Together(ParallelEnv):
    """Two agents that each see and do what `Nested` does."""

    metadata = {"name": "together"}  # noqa: RUF012  (as PettingZoo declares it)
    possible_agents = ["a", "b"]  # noqa: RUF012

    def observation_space(self, agent):
        return SPACE

    def action_space(self, agent):
        return Nested.action_space


class Laid(PufferEnv):
    """A native environment that says how its rows are laid out."""

    num_agents = 1

    def __init__(self):
        self.observation_layout = Layout.of(SPACE)
        self.action_layout = ActionLayout.of(Nested.action_space)
        self.single_observation_space = self.observation_layout.space
        self.single_action_space = self.action_layout.space
        super().__init__()


@pytest.mark.parametrize(
    "make",
    [
        lambda: GymnasiumPufferEnv(Nested()),
        lambda: PettingZooPufferEnv(Together()),
        lambda: to_gymnasium(Laid()),
        lambda: vector.make(Laid),
    ],
    ids=["Gymnasium", "PettingZoo", "native", "native, vectorized"],
)
def test_the_spaces_of_every_form_carry_the_original_ones(make):
    env = make()
    description = describe_spaces(env.single_observation_space, env.single_action_space)
    assert description.observation_layout.original == SPACE
    assert description.action_layout.original == Nested.action_space


def test_spaces_that_were_flat_from_the_start_describe_themselves():
    box, discrete = gymnasium.spaces.Box(0, 1, (3,)), gymnasium.spaces.Discrete(2)
    description = describe_spaces(box, discrete)
    assert description.observation_layout.original == box
    assert description.action_layout is None


def test_spaces_that_are_not_flat_are_refused():
    with pytest.raises(ArgumentError, match="GymnasiumPufferEnv"):
        describe_spaces(SPACE, Nested.action_space)
