"""Bad arguments are refused before any process starts or any environment is made."""

import threading
from multiprocessing.process import BaseProcess

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete
from vector_environments import Echo

from pufferlib import vector
from pufferlib.exceptions import ArgumentError, UnknownNameError
from pufferlib.vector import Multiprocessing, Serial, arguments
from pufferlib.vector.arguments import batch_envs, worker_count


def creator(*args, **kwargs):
    pytest.fail("an environment was made")


@pytest.fixture
def no_process(monkeypatch):
    monkeypatch.setattr(BaseProcess, "start", lambda self: pytest.fail("a process was started"))


FOR_EVERY_BACKEND = {
    "no environments": ({"num_envs": 0}, "num_envs must be a whole number of at least 1; got 0"),
    "fewer than none": ({"num_envs": -1}, "num_envs must be .* got -1"),
    "a bool for a count": ({"num_envs": True}, "num_envs must be .* got True"),
    "a fraction": ({"num_envs": 1.5}, "num_envs must be .* got 1.5"),
    "too few creators": (
        {"env_creator_or_creators": [creator] * 3, "num_envs": 4},
        "env_creators has 3 entries for num_envs=4",
    ),
    "too few env_args": (
        {"env_creator_or_creators": [creator] * 2, "env_args": [[1]], "num_envs": 2},
        "env_args has 1 entries for num_envs=2",
    ),
    "too many env_kwargs": (
        {"env_creator_or_creators": [creator] * 2, "env_kwargs": [{}] * 3, "num_envs": 2},
        "env_kwargs has 3 entries for num_envs=2",
    ),
    "one env_kwargs for many creators": (
        {"env_creator_or_creators": [creator] * 2, "env_kwargs": {"a": 1}, "num_envs": 2},
        "env_kwargs must be a list with an entry for each of the 2 creators, got dict",
    ),
    "many env_kwargs for one creator": (
        {"env_kwargs": [{}, {}], "num_envs": 2},
        "env_kwargs is a list of 2, but there is one env_creator.*a list of 2 creators",
    ),
    "an environment": (
        {"env_creator_or_creators": Echo()},
        "env_creator must be a function or class .* got an instance of Echo",
    ),
    "environments": (
        {"env_creator_or_creators": [creator, Echo()], "num_envs": 2},
        "env_creator must be a function or class .* got an instance of Echo",
    ),
    "a name": (
        {"env_creator_or_creators": "CartPole-v1"},
        "env_creator must be a function or class .* got an instance of str",
    ),
    "a name as env_args": (
        {"env_args": "CartPole-v1"},
        r"must be a list of arguments, got 'CartPole-v1'. Use \['CartPole-v1'\]",
    ),
    "no name as env_args": ({"env_args": ""}, r"must be a list of arguments, got ''"),
    "a number as env_args": ({"env_args": 5}, r"must be a list of arguments, got 5. Use \[5\]"),
    "zero as env_args": ({"env_args": 0}, r"must be a list of arguments, got 0. Use \[0\]"),
    "a dict as env_args": (
        {"env_args": {"id": 1}},
        r"must be a list of arguments, got \{'id': 1\}. Pass a dict as env_kwargs.",
    ),
    "a number among env_args": (
        {"env_creator_or_creators": [creator] * 2, "env_args": [[1], 2], "num_envs": 2},
        r"must be a list of arguments, got 2. Use \[2\]",
    ),
    "a number as env_kwargs": ({"env_kwargs": 5}, "env_kwargs must be a dict .* got 5"),
    "a number among env_kwargs": (
        {"env_creator_or_creators": [creator] * 2, "env_kwargs": [{}, 5], "num_envs": 2},
        "env_kwargs must be a dict .* got 5",
    ),
    "a number as a name in env_kwargs": (
        {"env_kwargs": {1: 2}},
        r"env_kwargs must be a dict .* got \{1: 2\}",
    ),
    "num_envs not a multiple of num_workers": (
        {"num_envs": 10, "num_workers": 4},
        "num_envs must be a multiple of num_workers; got num_envs=10, num_workers=4. "
        "Use num_workers=2 or 5, or num_envs=8 or 12.",
    ),
    "more workers than environments": (
        {"num_envs": 2, "num_workers": 4},
        "got num_envs=2, num_workers=4. Use num_workers=1 or 2, or num_envs=4.",
    ),
    "no workers": ({"num_workers": 0}, "num_workers must be a whole number of at least 1; got 0"),
    "a word for a count": ({"num_workers": "many"}, "num_workers must be .* got 'many'"),
    "a batch of none": ({"batch_size": 0}, "batch_size must be a whole number of at least 1"),
    "a batch of more than all": (
        {"num_envs": 4, "num_workers": 2, "batch_size": 8},
        "batch_size must be at most num_envs; got batch_size=8, num_envs=4. Use batch_size=4",
    ),
    "a bool for a batch": ({"batch_size": True}, "batch_size must be .* got True"),
    "a fraction of a batch": ({"batch_size": 1.0}, "batch_size must be .* got 1.0"),
    "a word for a batch": ({"batch_size": "half"}, "batch_size must be .* got 'half'"),
    "neither copies nor views": ({"zero_copy": "no"}, "zero_copy must be True or False; got 'no'"),
    "an unknown start method": (
        {"start_method": "thread"},
        "start_method must be one of fork, spawn, forkserver; got 'thread'",
    ),
    "no time": ({"timeout_s": 0}, "timeout_s must be above 0 seconds, or None .* got 0"),
    "less than no time": ({"timeout_s": -1.5}, "timeout_s must be above 0 seconds.*got -1.5"),
    "a word for a time": ({"timeout_s": "1"}, "timeout_s must be .* seconds.* got '1'"),
    "a misspelt argument": (
        {"num_worker": 2},
        r"takes no argument 'num_worker'\. Did you mean 'num_workers'",
    ),
    "a misspelt argument of make": ({"num_env": 2}, r"'num_env'\. Did you mean 'num_envs'"),
    "creators given twice": (
        {"env_creators": [creator]},
        r"'env_creators'\. Did you mean .*'env_creator_or_creators'",
    ),
}

FOR_MULTIPROCESSING = {
    "a batch of parts of workers": (
        {"num_envs": 12, "num_workers": 4, "batch_size": 4},
        "batch_size=4, the environments of one worker=3. Use batch_size=3 or 6.",
    ),
    "zero-copy batches that overlap": (
        {"num_envs": 6, "num_workers": 3, "batch_size": 4},
        "zero_copy needs batches that split the workers evenly; got num_workers=3, of which "
        "batch_size=4 takes 2. .* or zero_copy=False",
    ),
}


def cases(table, backends):
    for name, (given, match) in table.items():
        for backend in backends:
            yield pytest.param(backend, given, match, id=f"{name}-{backend.__name__}")


@pytest.mark.parametrize(
    ("backend", "given", "match"),
    [
        *cases(FOR_EVERY_BACKEND, (Serial, Multiprocessing)),
        *cases(FOR_MULTIPROCESSING, (Multiprocessing,)),
    ],
)
def test_bad_arguments_are_refused_before_any_process_starts(backend, given, match, no_process):
    with pytest.raises(ArgumentError, match=match):
        vector.make(**{"env_creator_or_creators": creator, "backend": backend, **given})


def test_an_instance_of_a_backend_is_refused():
    serial = vector.make(Echo)
    with pytest.raises(ArgumentError, match=r"must be a class .* instance of Serial.*class itself"):
        vector.make(creator, backend=serial)
    serial.close()


def test_the_nearest_backend_is_suggested():
    with pytest.raises(UnknownNameError, match=r"no backend 'multiprocess'.*'Multiprocessing'\?"):
        vector.make(creator, backend="multiprocess")


@pytest.mark.parametrize("name", ["Serial", "Multiprocessing"])
def test_a_backend_can_be_named(name):
    envs = vector.make(Echo, backend=name, num_envs=2)
    assert type(envs).__name__ == name
    envs.close()


@pytest.mark.parametrize("space", ["observation_space", "action_space"])
def test_environments_with_different_spaces_are_refused(space, make, tmp_path, capfd):
    def other(index):
        env = Echo(grave=tmp_path / str(index))
        if index == 2:
            wider = {"observation_space": Box(0, 1, (9,)), "action_space": Discrete(7)}
            setattr(env, space, wider[space])
        return env

    match = f"single_{space} is .* in environment 0, .* in environment 2"
    with pytest.raises(ArgumentError, match=match):
        make([other] * 4, [[index] for index in range(4)], num_envs=4)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1", "2", "3"]  # all closed
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("start_method", ["forkserver", "spawn"])
def test_creators_that_cannot_be_pickled_are_refused(no_process, start_method):
    lock = threading.Lock()  # which no pickler takes
    options = {"num_envs": 2, "num_workers": 2, "start_method": start_method}
    with pytest.raises(ArgumentError, match=r"sent to a worker process: TypeError: cannot pickle"):
        vector.make([Echo, lambda: Echo(lock)], backend=Multiprocessing, **options)


def test_creators_need_no_pickling_for_a_fork():
    lock = threading.Lock()
    options = {"num_envs": 2, "num_workers": 2, "start_method": "fork"}
    envs = vector.make([Echo, lambda: Echo(lock)], backend=Multiprocessing, **options)
    assert envs.render()[1].startswith("picture of <unlocked")
    envs.close()


@pytest.mark.parametrize(
    ("num_envs", "cores", "workers"),
    [(12, 8, 6), (12, 5, 4), (7, 4, 1), (7, 7, 7), (3, 64, 3), (1, 2, 1)],
)
@pytest.mark.parametrize("asked", [None, "auto"])
def test_workers_are_as_many_as_divide_the_environments(
    asked, num_envs, cores, workers, monkeypatch
):
    monkeypatch.setattr(arguments, "usable_cores", lambda: cores)
    assert worker_count(num_envs, asked) == workers


@pytest.mark.parametrize(
    ("num_envs", "num_workers", "envs"),
    [
        (8, 4, 4),  # half of the workers
        (12, 6, 6),
        (10, 5, 2),  # 2 workers do not divide 5, so 1
        (18, 9, 6),  # 4 do not divide 9, so 3
        (8, 1, 8),  # a worker cannot be halved
    ],
)
def test_an_auto_batch_holds_at_most_half_of_the_workers(num_envs, num_workers, envs):
    assert batch_envs(num_envs, num_workers, "auto") == envs


def test_without_a_batch_size_a_batch_is_all_environments():
    assert batch_envs(12, 3, None) == 12


def test_a_class_that_is_not_a_backend_is_refused():
    with pytest.raises(ArgumentError, match=r"int is not a backend\. Backends: Serial, Multiproc"):
        vector.make(creator, backend=int)


def test_serial_takes_what_multiprocessing_takes():
    options = {"num_workers": 2, "zero_copy": False, "start_method": "spawn", "timeout_s": 5.0}
    envs = vector.make(Echo, [0], num_envs=4, batch_size=4, **options)
    assert envs.num_envs == envs.batch_size == 4
    envs.close()
    with pytest.raises(ArgumentError, match="batch_size must be a multiple of the environments"):
        vector.make(creator, num_envs=4, batch_size=1, num_workers=2)


class Backend(Serial):
    """A backend of the user's own."""

    def __init__(self, *args, color, **options):
        super().__init__(*args, **options)
        self.color = color


def test_a_user_defined_backend_gets_its_own_arguments():
    envs = vector.make(Echo, backend=Backend, num_envs=2, color="red", num_workers=2)
    assert (envs.color, envs.num_envs) == ("red", 2)
    envs.close()


@pytest.mark.parametrize("backend", [Serial, Multiprocessing])
def test_numpy_integers_are_counts(backend):
    two = np.int64(2)
    envs = vector.make(Echo, backend=backend, num_envs=two, num_workers=two, batch_size=two)
    assert [type(n) for n in (envs.num_envs, envs.num_workers, envs.batch_size)] == [int] * 3
    assert envs.num_envs == envs.batch_size == 2
    envs.close()


@pytest.mark.parametrize("given", [np.float64(2), np.bool_(True), np.array([2])])
def test_other_numpy_values_are_not_counts(given):
    with pytest.raises(ArgumentError, match="num_envs must be a whole number of at least 1; got "):
        vector.make(creator, num_envs=given)


def test_values_for_another_number_of_environments_are_refused(make):
    envs = make(Echo, num_envs=2)
    with pytest.raises(
        ArgumentError, match=r"skill has 3 values for 2 environments\..*\[\[1, 2, 3\]\] \* 2"
    ):
        envs.set_attr("skill", [1, 2, 3])
    envs.set_attr("skill", [[1, 2, 3]] * 2)
    assert envs.get_attr("skill") == [[1, 2, 3]] * 2
