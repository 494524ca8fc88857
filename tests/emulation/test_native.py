"""An environment of any supported kind becomes a PufferEnv; anything else is refused."""

import pettingzoo
import pytest
from environments import Countdown, Population

from pufferlib.emulation import GymnasiumPufferEnv, PettingZooPufferEnv, native
from pufferlib.environment import PufferEnv
from pufferlib.exceptions import ArgumentError
from pufferlib.registry.ocean.squared import Squared


@pytest.mark.parametrize(
    ("env", "num_agents"),
    [
        (Countdown(), 1),
        (GymnasiumPufferEnv(Countdown()), 1),
        (Population(), 3),
        (PettingZooPufferEnv(Population()), 3),
        (pettingzoo.utils.parallel_to_aec(Population()), 3),
        (Squared(num_agents=4), 4),
    ],
    ids=["gymnasium", "flat gymnasium", "parallel", "flat parallel", "aec", "native"],
)
def test_every_kind_of_environment_becomes_rows(env, num_agents):
    rows = native(env)
    assert isinstance(rows, PufferEnv)
    assert rows.num_agents == num_agents
    rows.reset(seed=0)
    assert rows.masks.any()


@pytest.mark.parametrize(
    "env", [GymnasiumPufferEnv(Countdown()), PettingZooPufferEnv(Population())], ids=["one", "many"]
)
def test_a_flat_environment_is_not_wrapped_again(env):
    assert native(env).user_env is env


def test_a_native_environment_is_returned_unchanged():
    env = Squared()
    assert native(env) is env


@pytest.mark.parametrize("env", [None, Countdown, 3], ids=["nothing", "a class", "a number"])
def test_anything_else_is_refused(env):
    with pytest.raises(ArgumentError, match=r"must be a gymnasium.Env, a pettingzoo.ParallelEnv"):
        native(env)
