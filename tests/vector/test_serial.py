"""What only the Serial backend promises: everything happens here."""

import os

import pytest
from vector_environments import Echo, Faulty, raise_plain

from pufferlib import vector
from pufferlib.exceptions import ArgumentError, WorkerError


def test_environments_are_stepped_in_this_process():
    envs = vector.make(Echo, num_envs=3)
    assert envs.call("pid") == [os.getpid()] * 3
    envs.close()


def test_close_reaches_every_environment(tmp_path):
    graves = [tmp_path / name for name in "abc"]
    envs = vector.make([Echo] * 3, env_kwargs=[{"grave": grave} for grave in graves], num_envs=3)
    assert not any(grave.exists() for grave in graves)
    envs.close()
    assert all(grave.exists() for grave in graves)


def test_a_failure_is_the_very_exception_that_was_raised():
    def fault():
        raise error

    error = KeyError("lost")
    envs = vector.make(Faulty, ["reset", fault])
    with pytest.raises(WorkerError, match="Environment 0 failed in reset") as raised:
        envs.reset()
    assert raised.value.__cause__ is error
    assert raised.value.worker is None


def test_one_instance_for_all_rows_is_refused_and_closed_once():
    class Once(Echo):
        closed = 0

        def close(self):
            self.closed += 1

    env = Once()
    with pytest.raises(ArgumentError, match="Make the environment inside the creator"):
        vector.make(lambda: env, num_envs=3)
    assert env.closed == 1


def test_a_failure_in_a_constructor_closes_the_environments_already_made(tmp_path):
    def creator(index):
        if index == 2:
            raise_plain()
        return Echo(grave=tmp_path / str(index))

    with pytest.raises(WorkerError, match="Environment 2 failed in __init__"):
        vector.make([creator] * 3, [[0], [1], [2]], num_envs=3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1"]
