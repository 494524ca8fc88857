"""With caller_steps the caller is the last worker; nothing else about the rows changes."""

import contextlib
import os
import time

import gymnasium
import numpy as np
import pytest
from environments import Population
from vector_environments import Echo, Faulty, Flock, Troubled, raise_plain
from vector_processes import children

from pufferlib import vector
from pufferlib.exceptions import ArgumentError, CallOrderError, WorkerError
from pufferlib.vector import Multiprocessing, Serial

CALLER_STEPS = {"backend": Multiprocessing, "num_workers": 2, "caller_steps": True}


def opened(env_creators, env_args=None, **kwargs):
    options = {"num_envs": len(env_creators), **CALLER_STEPS, **kwargs}
    return contextlib.closing(vector.make(env_creators, env_args, **options))


def played(env_creators, env_args, **kwargs):
    """Return all that is known after the reset and after each step, of random actions."""
    options = {"num_envs": len(env_creators), **kwargs}
    with contextlib.closing(vector.make(env_creators, env_args, **options)) as envs:
        envs.action_space.seed(3)
        envs.async_reset(seed=7)
        seen = []
        for _ in range(200):
            batch = envs.recv()
            has_ended = batch.terminals | batch.truncations
            finals = envs.final_observations[has_ended].tobytes()
            arrays = [(a.dtype, a.tobytes()) for a in (*batch[:4], *batch[5:], envs.lost)]
            seen.append((arrays, finals, list(batch.infos), batch.infos.env_indices))
            envs.send(envs.action_space.sample())
        envs.recv()
    return seen


ENVIRONMENTS = {
    "seeded": ([gymnasium.make] * 4, [["CartPole-v1"]] * 4),
    "with infos": ([Echo] * 4, [[tag, 3 + tag] for tag in range(4)]),
    "many agents": ([Flock] * 4, [[tag] for tag in range(4)]),
    "structured": ([Population] * 4, None),
}


@pytest.mark.parametrize("zero_copy", [True, False])
@pytest.mark.parametrize("num_workers", [2, 4])
@pytest.mark.parametrize("which", ENVIRONMENTS)
def test_rows_and_infos_are_those_of_serial_byte_for_byte(which, num_workers, zero_copy):
    env_creators, env_args = ENVIRONMENTS[which]
    options = {**CALLER_STEPS, "num_workers": num_workers, "zero_copy": zero_copy}
    expected = played(env_creators, env_args, backend=Serial)
    assert played(env_creators, env_args, **options) == expected
    assert any(finals for _, finals, *_ in expected)


def test_the_environments_of_the_last_worker_are_stepped_by_the_caller():
    with opened([Echo] * 6, num_workers=3) as envs:
        pids = envs.call("pid")
        assert pids[4:] == [os.getpid()] * 2
        assert {pids[0], pids[2]} == children()
        assert pids[0] == pids[1] != pids[2] == pids[3]


def test_methods_and_attributes_reach_the_callers_environments_too():
    with opened([Echo] * 4, [[tag] for tag in range(4)]) as envs:
        envs.reset(seed=0)
        assert envs.get_attr("tag") == [0, 1, 2, 3]
        envs.set_attr("skill", [5, 6, 7, 8])
        assert envs.get_attr("skill") == [5, 6, 7, 8]
        assert envs.call("greet", "Hello", mark="!") == [f"Hello {tag}!" for tag in range(4)]
        assert envs.render() == [f"picture of {tag}" for tag in range(4)]


def test_a_call_that_fails_in_any_environment_leaves_all_usable():
    with opened([Echo] * 4, [[tag] for tag in range(4)]) as envs:
        envs.reset(seed=0)
        for failing in ([3], [1], [1, 3]):  # the caller steps environments 2 and 3
            envs.set_attr("greet", [0 if tag in failing else abs for tag in range(4)])
            assert envs.call("greet", -3) == [0 if tag in failing else 3 for tag in range(4)]
            envs.set_attr("greet", [ord if tag in failing else abs for tag in range(4)])
            with pytest.raises(WorkerError, match=rf"environment {failing[0]} failed in greet"):
                envs.call("greet", -3)
            assert envs.step([5, 6, 7, 8])[1].tolist() == [5, 6, 7, 8]


def test_a_method_called_step_is_called_like_any_other():
    with opened([Echo] * 2, [[0], [1]]) as envs:
        envs.reset(seed=0)
        answers = envs.call("step", 9)
        assert [(answer[0].tolist(), *answer[1:]) for answer in answers] == [
            ([tag, 0, 1, 9], 9.0, False, False, {}) for tag in range(2)
        ]
        assert envs.step([5, 6])[0].tolist() == [[0, 0, 2, 5], [1, 0, 2, 6]]


def test_a_step_that_the_caller_has_not_begun_is_not_taken_before_a_reset():
    with opened([Echo] * 2, [[0], [1]]) as envs:
        envs.reset(seed=0)
        for _ in range(3):
            envs.send([1, 2])
            envs.async_reset(seed=0)
            assert envs.recv().observations.tolist() == [[0, 0, 0, 0], [1, 0, 0, 0]]
        assert envs.step([3, 4])[0].tolist() == [[0, 0, 1, 3], [1, 0, 1, 4]]


@pytest.mark.usefixtures("_patient")
def test_all_environments_are_closed_wherever_they_are(tmp_path):
    graves = [tmp_path / name for name in "abcd"]
    with opened([Echo] * 4, [[0, 9, None, grave] for grave in graves]) as envs:
        envs.reset(seed=0)
    assert all(grave.exists() for grave in graves)


def play(envs):
    envs.reset(seed=100)
    for _ in range(10):
        envs.step([0, 1, 2, 3][: envs.num_envs])


def make_and_play(*args, **kwargs):
    with opened(*args, **kwargs) as envs:
        play(envs)


@pytest.mark.usefixtures("_patient")
@pytest.mark.parametrize("on_failure", ["raise", "restart"])
@pytest.mark.parametrize("where", ["__init__", "reset", "step"])
def test_a_failure_in_the_calling_process_is_raised(where, on_failure, tmp_path):
    graves = [tmp_path / name for name in "abc"]
    env_args = [
        *([tag, 9, None, grave] for tag, grave in enumerate(graves[:2])),
        [where, raise_plain, 2],
        [3, 9, None, graves[2]],
    ]
    creators = [Echo, Echo, Faulty, Echo]
    with pytest.raises(WorkerError, match=rf"2 failed in {where}\(\).*negative energy") as raised:
        make_and_play(creators, env_args, on_failure=on_failure)
    error = raised.value
    assert type(error.__cause__) is ValueError
    assert "in raise_plain" in error.original_traceback
    assert (error.worker, error.env_index) == (1, 2)
    assert (error.seed, error.step) == {
        "__init__": (None, None),
        "reset": (102, 0),
        "step": (102, 3),
    }[where]
    assert children() == set()
    assert [grave.exists() for grave in graves] == [True, True, where != "__init__"]


@pytest.mark.parametrize("where", ["__init__", "reset", "step"])
def test_a_failure_in_a_worker_process_is_raised(where):
    env_args = [[where, raise_plain], *[["never", None]] * 3]
    with pytest.raises(WorkerError, match=rf"0 failed in {where}\(\)") as raised:
        make_and_play([Faulty] * 4, env_args)
    assert (raised.value.worker, raised.value.env_index) == (0, 0)


class Clinging(Faulty):
    def close(self):
        raise OSError("cannot be closed")


def test_an_environment_that_cannot_be_closed_hides_no_failure():
    with pytest.raises(WorkerError, match="negative energy"):
        make_and_play([Echo, Clinging], [[0], ["step", raise_plain]])
    assert children() == set()


def test_ctrl_c_while_the_caller_steps_ends_the_workers():
    def interrupt():
        raise KeyboardInterrupt

    with opened([Echo, Faulty], [[0], ["step", interrupt]]) as envs:
        envs.reset(seed=0)
        envs.step([0, 0])
        envs.step([0, 0])
        envs.send([0, 0])
        with pytest.raises(KeyboardInterrupt):
            envs.recv()
        assert children() == set()
        with pytest.raises(CallOrderError, match="after a failure"):
            envs.recv()


def test_workers_are_replaced_while_the_callers_environments_continue():
    env_args = [[tag] for tag in range(4)]
    with opened([Troubled] * 4, env_args, on_failure="restart") as envs:
        envs.reset(seed=0)
        observations, *_ = envs.step([1, Troubled.RAISE, 3, 4])
        assert observations.tolist() == [[0] * 4, [0] * 4, [2, 0, 1, 3], [3, 0, 1, 4]]
        assert envs.lost.tolist() == [True, True, False, False]
        observations, *_ = envs.step([5] * 4)
        firsts = [[0, 0, 0, 0], [1, 0, 0, 0], [2, 0, 2, 5], [3, 0, 2, 5]]
        assert observations.tolist() == firsts
        assert envs.num_restarts == 1


def test_the_timeout_does_not_apply_to_the_callers_environments():
    class Slow(Echo):
        def step(self, action):
            time.sleep(3.5 if self.tag == 1 else 0)
            return super().step(action)

    with opened([Slow] * 2, [[0], [1]], timeout_s=3) as envs:
        envs.reset(seed=0)
        assert envs.step([5, 6])[1].tolist() == [5, 6]


@pytest.mark.parametrize(
    ("options", "given"),
    [
        ({"num_workers": 1}, "num_workers=1, batch_size=4"),
        ({"num_workers": 4, "batch_size": 2}, "num_workers=4, batch_size=2"),
        ({"num_workers": 2, "batch_size": "auto"}, "num_workers=2, batch_size=2"),
    ],
)
def test_there_must_be_another_worker_and_no_pool(options, given):
    with pytest.raises(ArgumentError, match=f"caller_steps needs .* got {given} of num_envs=4"):
        opened([Echo] * 4, **options)
    assert children() == set()


def test_the_callers_own_threads_stay_as_they_are():
    before = dict(os.environ)
    with opened([gymnasium.make] * 2, [["CartPole-v1"]] * 2) as envs:
        envs.reset(seed=0)
        envs.step(np.zeros(2, np.int64))
        assert dict(os.environ) == before
