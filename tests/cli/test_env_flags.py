"""Flags for arguments of the environment that no preset lists."""

import pytest

from pufferlib.cli.env_flags import take_env_kwargs
from pufferlib.exceptions import SettingError


@pytest.mark.parametrize(
    ("flags", "left", "kwargs"),
    [
        (["--env.kwargs.max-steps", "20"], [], {"max_steps": 20}),
        (["--env.kwargs.max_steps=-3"], [], {"max_steps": -3}),
        (["--env.kwargs.low", "-0.5", "--run", "a"], ["--run", "a"], {"low": -0.5}),
        (["--env.kwargs.keys", "{[]: 1}"], [], {"keys": "{[]: 1}"}),
        (["--env.kwargs.keys", "('a', 1)"], [], {"keys": ("a", 1)}),
        (["--env.kwargs.fast", "True", "--env.kwargs.map", "maze"], [], {"fast": 1, "map": "maze"}),
        (["--env.kwargs.known", "3"], ["--env.kwargs.known", "3"], {}),
        (["--env.kwargs.known.part", "3"], ["--env.kwargs.known.part", "3"], {}),
        (["--env.kwargs.is-on", "False", "--run", "a"], ["--run", "a"], {"is_on": False}),
        (["--env.kwargs.is-on=True"], [], {"is_on": True}),
        (["--env.kwargs.is-on"], ["--env.kwargs.is-on"], {}),
        (["--env.kwargs.no-is-on"], ["--env.kwargs.no-is-on"], {}),
        (["--env.kwargs.is-on", "None"], [], {"is_on": None}),
        (["--env.kwargs.known", "None", "--run", "a"], ["--run", "a"], {"known": None}),
        (["--env.kwargs.known=None"], [], {"known": None}),
        (["--env.kwargs.size", "(40,60)"], [], {"size": (40, 60)}),
        (["--env.kwargs.size=['a']"], [], {"size": ["a"]}),
        (["--env.kwargs.size", "40", "60"], ["--env.kwargs.size", "40", "60"], {}),
        (["--env.kwargs.size", "None"], [], {"size": None}),
        (["--env.kwargs.table", "{'a': 1}"], [], {"table": {"a": 1}}),
        (["--env.kwargs.table.part", "3"], ["--env.kwargs.table.part", "3"], {}),
        (["--env.kwargs.table.part", "None"], ["--env.kwargs.table.part", "None"], {}),
        (["--env.kwargs.none", "maze"], [], {"none": "maze"}),
        (["--env.kwargs.none", "3"], [], {"none": 3}),
        (["--train.seed", "2"], ["--train.seed", "2"], {}),
        (["--train.threads", "None"], ["--train.threads", "None"], {}),
    ],
)
def test_flags_of_unlisted_keys_are_taken_and_others_left(flags, left, kwargs):
    known = {"known": 1, "is_on": True, "size": [1, 2], "table": {"part": 1}, "none": None}
    assert take_env_kwargs(flags, known) == (left, kwargs)


@pytest.mark.parametrize(
    ("flags", "match"),
    [
        (["--env.kwargs.a"], "--env.kwargs.a has no value. Use --env.kwargs.KEY VALUE"),
        (["--env.kwargs.a", "--run", "b"], "--env.kwargs.a has no value"),
        (["--env.kwargs.", "3"], "'' is no Python name"),
        (["--env.kwargs.a.b", "3"], "'a.b' is no Python name"),
    ],
)
def test_a_flag_that_cannot_be_says_how_it_can(flags, match):
    with pytest.raises(SettingError, match=match):
        take_env_kwargs(flags, {})
