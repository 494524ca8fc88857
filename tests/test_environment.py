"""The contract of a native environment; the example in its docstring runs as a doctest."""

import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete

from pufferlib.environment import Buffers, PufferEnv
from pufferlib.exceptions import ArgumentError

PLANE = Box(-1, 1, (2, 3), np.float64)


def env_class(**attributes):
    spaces = {"single_observation_space": PLANE, "single_action_space": Discrete(2)}
    return type("Env", (PufferEnv,), spaces | {"num_agents": 2} | attributes)


def test_an_environment_without_buffers_allocates_zeroed_rows():
    env = env_class()()
    assert (env.observations.shape, env.observations.dtype) == ((2, 2, 3), np.float64)
    assert env.final_observations.shape == env.observations.shape
    assert env.rewards.dtype == np.float32
    for rows in (env.rewards, env.terminals, env.truncations, env.masks):
        assert rows.shape == (2,)
        assert not rows.any()


def test_an_environment_writes_into_the_rows_it_is_given():
    buffers = Buffers.allocate(PLANE, rows=5)
    env = env_class()(buffers.rows(3, 5))
    env.observations[0], env.rewards[1] = 0.5, 7
    assert buffers.observations[:, 0, 0].tolist() == [0, 0, 0, 0.5, 0]
    assert buffers.rewards.tolist() == [0, 0, 0, 0, 7]


@pytest.mark.parametrize("name", ["single_observation_space", "single_action_space", "num_agents"])
def test_an_environment_that_lacks_an_attribute_is_refused(name):
    complete = env_class()
    attributes = {k: v for k, v in vars(complete).items() if not k.startswith("_") and k != name}
    with pytest.raises(ArgumentError, match=f"Env has no {name}. Set it before"):
        type("Env", (PufferEnv,), attributes)()


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({"single_observation_space": Dict(a=PLANE)}, "must be a Box, got Dict"),
        ({"single_action_space": MultiBinary(3)}, "starts at 0, on one axis, or a Box; got MultiB"),
        ({"single_action_space": Discrete(3, start=2)}, r"got Discrete\(3, start=2\)"),
        ({"single_action_space": MultiDiscrete([3, 2], start=[0, 1])}, "got MultiDiscrete"),
        ({"single_action_space": MultiDiscrete([[3, 2], [2, 2]])}, "got MultiDiscrete"),
        ({"num_agents": 0}, "num_agents must be a whole number of at least 1; got 0"),
    ],
)
def test_an_environment_without_rows_or_box_is_refused(attributes, said):
    with pytest.raises(ArgumentError, match=said):
        env_class(**attributes)()


@pytest.mark.parametrize("method", ["reset", "step"])
def test_a_missing_method_is_named(method):
    with pytest.raises(NotImplementedError, match=f"Env must implement {method}"):
        getattr(env_class()(), method)(None)
