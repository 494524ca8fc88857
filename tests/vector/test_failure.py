"""An environment that raises, dies or hangs raises one WorkerError, and everything is closed."""

import gc
import os
import signal
import sys
import time
from types import SimpleNamespace

import pytest
from vector_environments import (
    Echo,
    Faulty,
    be_killed,
    crash,
    exit_at_once,
    hang,
    leave_a_child,
    raise_mute,
    raise_plain,
    raise_two_arguments,
    raise_unpicklable,
)
from vector_processes import children, living, open_descriptors, wait_until_asleep

from pufferlib import vector
from pufferlib.exceptions import CallOrderError, WorkerError
from pufferlib.vector import Multiprocessing, Serial

WHERE = ["__init__", "reset", "step"]
START_METHODS = ["fork", "forkserver", "spawn"]
SERIAL = {"backend": Serial}
WORKERS = {"backend": Multiprocessing, "num_workers": 2}  # with two environments each


def play(envs):
    """Reset and step for long; in a pool the others go on until a failure is known."""
    envs.reset(seed=100)
    for _ in range(10_000):
        envs.step([0, 1, 2, 3][: envs.batch_size])


def failure(where, fault, **options):
    """Return the WorkerError when environment 2 of four fails `where`; check what it leaves."""
    gc.collect()
    before, made = open_descriptors(), []

    def make_and_play():
        env_args = [[0], [1], [where, fault, 2], [3]]
        made.append(vector.make([Echo, Echo, Faulty, Echo], env_args, num_envs=4, **options))
        play(made[0])

    with pytest.raises(WorkerError) as raised:
        make_and_play()
    assert children() == set()
    assert open_descriptors() == before
    for envs in made:
        with pytest.raises(CallOrderError, match=r"after a failure\. Make a new"):
            envs.reset()
        envs.close()
        envs.close()
    return raised.value


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("options", [SERIAL, WORKERS], ids=["serial", "workers"])
@pytest.mark.parametrize(
    ("fault", "original_type", "message"),
    [
        (raise_plain, "ValueError", "negative energy"),
        (raise_two_arguments, "TwoArgumentsError", "energy is -1"),
        (raise_unpicklable, "UnpicklableError", "negative energy"),
        (raise_mute, "MuteError", "(its message could not be read)"),
    ],
)
def test_an_exception_arrives_with_its_circumstances(where, options, fault, original_type, message):
    error = failure(where, fault, **options)
    assert f"nvironment 2 failed in {where}()" in str(error)
    assert f"{original_type}: {message}" in str(error)
    assert error.original_type == original_type
    assert error.original_traceback.startswith("Traceback (most recent call last)")
    assert f"in {fault.__name__}\n" in error.original_traceback
    assert error.worker == (1 if options is WORKERS else None)
    assert error.env_index == 2
    assert (error.seed, error.step) == {
        "__init__": (None, None),
        "reset": (102, 0),
        "step": (102, 3),
    }[where]


@pytest.mark.parametrize("start_method", START_METHODS)
@pytest.mark.parametrize("where", WHERE)
def test_the_original_exception_is_the_cause(where, start_method):
    error = failure(where, raise_plain, start_method=start_method, **WORKERS)
    assert type(error.__cause__) is ValueError
    assert error.__cause__.args == ("negative energy",)
    assert "negative energy" in str(error)
    assert "in raise_plain" in str(error)  # the traceback is part of what is printed


@pytest.mark.parametrize("fault", [raise_two_arguments, raise_unpicklable])
def test_an_exception_that_cannot_be_pickled_has_no_cause(fault):
    assert failure("step", fault, **WORKERS).__cause__ is None


def test_an_exception_of_a_class_that_only_the_worker_knows_still_arrives(tmp_path):
    (tmp_path / "worker_only.py").write_text("class Hidden(Exception): pass\n")

    def fault():
        sys.path.insert(0, str(tmp_path))
        import worker_only

        raise worker_only.Hidden("who am I")

    error = failure("step", fault, **WORKERS)
    assert error.original_type == "Hidden"
    assert "who am I" in str(error)
    assert error.__cause__ is None


class Unloadable:
    """A creator that can be sent, but not received."""

    def __call__(self):
        return Echo()

    def __reduce__(self):
        return exec, ("raise ImportError('no such game')",)


def test_a_creator_that_cannot_be_unpickled_fails_by_name():
    with pytest.raises(WorkerError, match=r"Worker 0, environment 0 .*no such game") as raised:
        vector.make(Unloadable(), backend=Multiprocessing, start_method="spawn")
    assert raised.value.original_type == "ImportError"
    assert children() == set()


def test_infos_that_cannot_be_sent_are_an_error_that_says_so():
    class Secretive(Echo):
        def step(self, action):
            *rest, _ = super().step(action)
            return *rest, {"lock": (each for each in ())}

    envs = vector.make(Secretive, num_envs=2, **WORKERS)
    envs.reset(seed=0)
    with pytest.raises(WorkerError, match=r"failed in step.*: TypeError: cannot pickle"):
        envs.step([0, 1])
    assert children() == set()


DEATHS = [
    (be_killed, "was killed by SIGKILL, most often by the kernel, out of memory"),
    (crash, "was killed by SIGSEGV, a crash in compiled code"),
    (exit_at_once, "exited with code 7; an environment may have called os._exit"),
]


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize(("fault", "message"), DEATHS)
def test_a_death_is_named(fault, message, where):
    error = failure(where, fault, **WORKERS)
    assert str(error).startswith(f"Worker 1 (environments 2-3) {message}")
    assert str(error).endswith(f"It was in {where}().")
    assert error.worker == 1
    assert error.original_type is None


@pytest.mark.parametrize("start_method", ["forkserver", "spawn"])
@pytest.mark.parametrize(("fault", "message"), DEATHS)
def test_a_death_is_named_whatever_the_start_method(fault, message, start_method):
    error = failure("step", fault, start_method=start_method, **WORKERS)
    assert str(error).startswith(f"Worker 1 (environments 2-3) {message}")


@pytest.mark.parametrize("start_method", START_METHODS)
def test_a_death_is_found_while_a_grandchild_holds_the_pipes(start_method, tmp_path):
    note = tmp_path / "grandchild"

    def fault():
        note.write_text(str(leave_a_child()))
        be_killed()

    error = failure("step", fault, start_method=start_method, **WORKERS)
    assert "was killed by SIGKILL" in str(error)
    grandchild = int(note.read_text())
    assert living({grandchild})  # it did not have to end first
    os.kill(grandchild, signal.SIGKILL)


@pytest.mark.parametrize("fault", [raise_plain, be_killed])
def test_a_failure_in_a_pool_is_found(fault):
    options = {"backend": Multiprocessing, "num_workers": 4, "batch_size": 1}
    error = failure("reset", fault, **options)
    assert error.worker == 2
    assert "environment 2" in str(error)


def test_a_worker_killed_from_outside_is_found():
    envs = vector.make(Echo, num_envs=4, **WORKERS)
    envs.reset(seed=0)
    os.kill(envs.call("pid")[3], signal.SIGKILL)
    with pytest.raises(WorkerError, match=r"Worker 1 \(environments 2-3\) was killed by SIGKILL"):
        play(envs)
    assert children() == set()


@pytest.mark.parametrize("where", WHERE)
def test_a_worker_that_hangs_is_stopped_and_named(where):
    error = failure(where, hang, timeout_s=3, **WORKERS)
    assert str(error).startswith(
        f"Worker 1 (environments 2-3) has not finished {where}() within timeout_s=3."
    )
    assert error.worker == 1


def test_time_between_steps_does_not_count(monkeypatch):
    envs = vector.make(Echo, backend=Multiprocessing, timeout_s=5)
    envs.reset(seed=0)
    envs.send([1])
    wait_until_asleep(children())  # the worker has answered; now the caller takes a minute
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + 60)
    monkeypatch.setattr(vector.worker_tracker, "time", clock)
    assert envs.recv().rewards.tolist() == [1]
    envs.step([2])
    envs.close()


@pytest.mark.usefixtures("_patient")
@pytest.mark.parametrize("where", WHERE)
def test_a_failure_closes_the_other_environments_without_noise(where, make, tmp_path, capfd):
    creators = [Echo, Echo, Faulty, Echo]
    env_args = [*([tag, 9, None, tmp_path / str(tag)] for tag in (0, 1)), [where, raise_plain], []]
    with pytest.raises(WorkerError, match="negative energy"):
        play(make(creators, env_args, num_envs=4))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1"]
    assert capfd.readouterr().err == ""


class Speechless(Echo):
    """Has much to say on its second step."""

    def step(self, action):
        observation, reward, terminated, truncated, _ = super().step(action)
        self.steps_taken = getattr(self, "steps_taken", 0) + 1
        if self.steps_taken < 2:
            return observation, reward, terminated, truncated, {}
        return observation, reward, terminated, truncated, {"words": "x" * 50_000_000}


def test_a_worker_that_stops_in_the_middle_of_a_message_is_stuck():
    envs = vector.make(
        Speechless, backend=Multiprocessing, num_envs=2, num_workers=2, timeout_s=3.0
    )
    envs.reset(seed=0)
    workers = envs.call("pid")
    envs.step(envs.action_space.sample())
    envs.send(envs.action_space.sample())
    wait_until_asleep(workers)  # the pipes are full
    for worker in workers:
        os.kill(worker, signal.SIGSTOP)
    with pytest.raises(WorkerError, match="timeout_s"):
        envs.recv()
    assert not children()
