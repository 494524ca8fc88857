"""The options of the vectorizers: names, values, and how they divide environments."""

from dataclasses import FrozenInstanceError, dataclass, fields
from typing import Literal

import pytest

from pufferlib.exceptions import ArgumentError
from pufferlib.vector import Multiprocessing, RayOptions, Serial, VectorOptions, make
from pufferlib.vector.options import check_names

PUBLISHED = (
    *("num_workers", "batch_size", "zero_copy", "start_method", "timeout_s", "caller_steps"),
    *("on_failure", "max_restarts", "autoreset"),
)


def test_the_published_names_are_the_fields():
    assert VectorOptions.names() == PUBLISHED
    assert RayOptions.names() == (*PUBLISHED, "num_cpus", "ray_options")


def test_every_field_has_a_default_and_none_can_be_changed():
    options = VectorOptions()
    assert (options.num_workers, options.batch_size, options.zero_copy) == (None, None, True)
    assert (options.start_method, options.timeout_s, options.caller_steps) == (None, None, False)
    assert (options.on_failure, options.max_restarts) == ("raise", 10)
    with pytest.raises(FrozenInstanceError):
        options.num_workers = 2


@dataclass(frozen=True)
class Config(VectorOptions):
    """Settings of a program that adds its own."""

    backend: Literal["Serial", "Multiprocessing"] = "Multiprocessing"
    num_envs: int = 32
    timeout_s: float | None = 300.0


def test_a_subclass_can_add_fields_and_change_defaults():
    config = Config(num_workers=2, on_failure="restart")
    assert (config.num_envs, config.timeout_s) == (32, 300.0)
    assert config.split(config.num_envs) == (2, 32)
    # What differs from the defaults of VectorOptions is given to `make`, the rest is not.
    expected = {"num_workers": 2, "on_failure": "restart", "timeout_s": 300.0}
    assert config.keywords() == expected
    assert {field.name for field in fields(config)} == {*PUBLISHED, "backend", "num_envs"}


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"zero_copy": "no"}, "zero_copy must be True or False; got 'no'"),
        ({"caller_steps": 1}, "caller_steps must be True or False; got 1"),
        ({"start_method": "thread"}, "start_method must be one of fork, spawn, forkserver"),
        ({"timeout_s": 0}, "timeout_s must be above 0 seconds, or None for no limit; got 0"),
        ({"autoreset": "never"}, "autoreset must be 'same_step', 'next_step' or .*; got 'never'"),
        ({"autoreset": None}, "autoreset must be 'same_step', 'next_step' or .*; got None"),
        ({"on_failure": "ignore"}, "on_failure must be 'raise' or 'restart'; got 'ignore'"),
        ({"max_restarts": 0}, "max_restarts must be a whole number of at least 1; got 0"),
        ({"max_restarts": 1.5}, "max_restarts must be a whole number of at least 1; got 1.5"),
    ],
)
@pytest.mark.parametrize("backend", [Serial, Multiprocessing])
def test_a_value_that_is_not_allowed_is_refused_by_each_backend(backend, values, match):
    with pytest.raises(ArgumentError, match=match):
        VectorOptions(**values).check()
    with pytest.raises(ArgumentError, match=match):
        backend(lambda: pytest.fail("an environment was made"), **values)


@pytest.mark.parametrize(
    ("values", "num_envs", "expected"),
    [
        ({"num_workers": 2}, 8, (2, 8)),
        ({"num_workers": 2, "batch_size": 4}, 8, (2, 4)),
        ({"num_workers": 4, "batch_size": "auto"}, 8, (4, 4)),  # two workers of two environments
        ({"num_workers": 3, "batch_size": 4, "zero_copy": False}, 6, (3, 4)),
        ({"num_workers": "auto"}, 10, (5, 10)),  # of at most 7 workers 5 divide 10
        ({"batch_size": 2}, 10, (5, 2)),
    ],
)
def test_environments_are_divided_among_workers_and_batches(values, num_envs, expected):
    assert VectorOptions(**values).split(num_envs, most_workers=7) == expected


def test_a_division_with_a_remainder_is_refused():
    with pytest.raises(ArgumentError, match="num_envs must be a multiple of num_workers"):
        VectorOptions(num_workers=3).split(8)
    with pytest.raises(ArgumentError, match="zero_copy needs batches that split the workers"):
        VectorOptions(num_workers=3, batch_size=4).split(6)


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(ArgumentError, match=r"Mine takes no .* 'numworkers'\. Did you mean 'num_w"):
        VectorOptions.from_keywords("Mine", {"numworkers": 2})
    with pytest.raises(ArgumentError, match=r"'num_env'\. Did you mean 'num_envs'"):
        Multiprocessing(lambda: None, num_env=2)
    with pytest.raises(ArgumentError, match=r"Serial takes no argument 'num_cpus'"):
        make(lambda: None, num_cpus=1)


def test_the_error_lists_the_arguments_there_are():
    with pytest.raises(ArgumentError, match=r"^B takes no argument 'z'\. Arguments: x, y, w\.$"):
        check_names("B", ["y", "z"], allowed=["y", "w"], known=["x", "y", "w"])
    check_names("B", ["y", "w"], allowed=["y", "w"], known=["x", "y", "w"])


def test_each_vectorizer_counts_its_own_restarts():
    options = VectorOptions(on_failure="restart", max_restarts=3)
    one, other = options.restart_rule(), options.restart_rule()
    assert one is not other
    assert (one.on_failure, one.max_restarts, one.num_restarts) == ("restart", 3, 0)
