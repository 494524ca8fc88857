"""Wrappers take either `env` or `env_creator`, with clear errors for wrong combinations."""

import pytest
from environments import Countdown, Population

from pufferlib.emulation import GymnasiumPufferEnv, PettingZooPufferEnv
from pufferlib.exceptions import ArgumentError

over_wrappers = pytest.mark.parametrize(
    ("wrapper", "inner"),
    [(GymnasiumPufferEnv, Countdown), (PettingZooPufferEnv, Population)],
    ids=["gymnasium", "pettingzoo"],
)


@over_wrappers
def test_an_environment_is_wrapped_as_given(wrapper, inner):
    env = inner()
    assert wrapper(env).unwrapped is env


@over_wrappers
def test_a_creator_gets_its_arguments(wrapper, inner):
    def creator(*args, **kwargs):
        assert (args, kwargs) == ((1, 2), {"render_mode": "ansi"})
        return inner(**kwargs)

    env = wrapper(env_creator=creator, env_args=[1, 2], env_kwargs={"render_mode": "ansi"})
    assert env.render_mode == "ansi"


@over_wrappers
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (lambda inner: {}, "either env, .*or env_creator.*got neither"),
        (lambda inner: {"env": inner(), "env_creator": inner}, "got both"),
        (lambda inner: {"env": inner}, r"got the class (\w+)\. Pass it as env_creator=\1"),
        (lambda inner: {"env": len}, "got the function len. Pass it as env_creator=len"),
        (lambda inner: {"env_creator": inner()}, r"got an instance of \w+\. Pass it as env="),
        (
            lambda inner: {"env": inner(), "env_args": [1]},
            "env_args and env_kwargs apply to env_creator",
        ),
        (lambda inner: {"env": inner(), "env_kwargs": {"a": 1}}, "env is already made"),
        (
            lambda inner: {"env_creator": inner, "env_args": "CartPole-v1"},
            r"must be a list of arguments, got 'CartPole-v1'\. Use \['CartPole-v1'\]",
        ),
        (
            lambda inner: {"env_creator": inner, "env_args": 5},
            r"must be a list of arguments, got 5\. Use \[5\]",
        ),
        (
            lambda inner: {"env_creator": inner, "env_args": {"id": 1}},
            r"must be a list of arguments, got \{'id': 1\}\. Pass a dict as env_kwargs",
        ),
        (
            lambda inner: {"env_creator": inner, "env_kwargs": [1]},
            r"must be a dict of keyword arguments, got \[1\]",
        ),
        (
            lambda inner: {"env_creator": inner, "env_kwargs": 0},
            r"must be a dict of keyword arguments, got 0",
        ),
        (lambda inner: {"env": object()}, "got builtins.object"),
        (lambda inner: {"env_creator": lambda: None}, "got builtins.NoneType"),
    ],
    ids=[
        *("neither", "both", "class", "function", "instance", "args", "kwargs"),
        *("name as args", "number as args", "dict as args", "list as kwargs", "number as kwargs"),
        *("other", "nothing"),
    ],
)
def test_arguments_that_define_no_environment_are_refused(wrapper, inner, arguments, said):
    with pytest.raises(ArgumentError, match=said):
        wrapper(**arguments(inner))


@pytest.mark.parametrize(
    ("wrapper", "inner", "said"),
    [
        (GymnasiumPufferEnv, Population, "wraps a gymnasium.Env, got environments.Population"),
        (PettingZooPufferEnv, Countdown, "ParallelEnv or AECEnv, got environments.Countdown"),
    ],
    ids=["gymnasium", "pettingzoo"],
)
def test_the_other_kind_of_environment_is_refused(wrapper, inner, said):
    with pytest.raises(ArgumentError, match=said):
        wrapper(inner())
