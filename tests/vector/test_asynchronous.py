"""step_async and step_wait, reset_async and reset_wait: the same results, and the call order."""

import pickle

import gymnasium
import numpy as np
import pytest
from gymnasium.error import AlreadyPendingCallError, ClosedEnvironmentError, NoAsyncCallError
from gymnasium.utils.env_checker import data_equivalence
from vector_environments import Asked, Echo, Fragile

from pufferlib import vector
from pufferlib.exceptions import ArgumentError, CallOrderError, WorkerError
from pufferlib.vector import Multiprocessing, to_gymnasium
from pufferlib.vector.gymnasium_errors import PendingCallError


class Steady(Echo):
    """An `Echo` whose reset needs no seed."""

    def reset(self, *, seed=None, options=None):
        return super().reset(seed=0)


def cartpoles(make):
    return make(lambda: gymnasium.make("CartPole-v1", max_episode_steps=5), num_envs=4)


def assert_same(ours, theirs):
    assert data_equivalence(ours, theirs, exact=True)


def test_a_step_in_two_calls_is_a_step(make):
    whole, halves = cartpoles(make), cartpoles(make)
    assert_same(halves.reset(seed=3), whole.reset(seed=3))
    for step in range(12):
        actions = np.array([step, 1, 0, step + 1]) % 2
        halves.step_async(actions)
        assert_same(halves.step_wait(), whole.step(actions))


def test_gymnasiums_calls_in_two_halves_are_whole_ones(make):
    whole, halves = to_gymnasium(cartpoles(make)), to_gymnasium(cartpoles(make))
    halves.reset_async(seed=[3, 1, 4, None])
    assert_same(halves.reset_wait()[0][:3], whole.reset(seed=[3, 1, 4, None])[0][:3])
    halves.reset_async(seed=3)
    assert_same(halves.reset_wait(), whole.reset(seed=3))
    assert halves.np_random_seed == (3, 4, 5, 6)
    for step in range(12):
        actions = np.array([step, 1, 0, step + 1]) % 2
        halves.step_async(actions)
        assert_same(halves.step_wait(), whole.step(actions))


def test_an_asynchronous_reset_passes_options(make):
    envs = to_gymnasium(make(Asked, num_envs=2))
    envs.reset_async(seed=[5, None], options={"level": 3})
    envs.reset_wait()
    assert envs.get_attr("asked") == ([(5, {"level": 3})], [(None, {"level": 3})])


FIT = ([1, 2],)
# Calls before, the call that is refused, Gymnasium's error and the end of the message.
REFUSED = {
    "two steps": (["reset", "step_async"], "step_async", AlreadyPendingCallError, "`step_wait`"),
    "step": (["reset", "step_async"], "step", AlreadyPendingCallError, "`step_wait`"),
    "two resets": (["reset_async"], "reset_async", AlreadyPendingCallError, "`reset_wait`"),
    "reset": (["reset_async"], "reset", AlreadyPendingCallError, "`reset_wait`"),
    "step in reset": (["reset_async"], "step_async", AlreadyPendingCallError, "`reset_wait`"),
    "reset in step": (["reset", "step_async"], "reset", AlreadyPendingCallError, "`step_wait`"),
    "call in step": (["reset", "step_async"], "call", AlreadyPendingCallError, "`step_wait`"),
    "get_attr": (["reset_async"], "get_attr", AlreadyPendingCallError, "`reset_wait`"),
    "set_attr": (["reset_async"], "set_attr", AlreadyPendingCallError, "`reset_wait`"),
    "render": (["reset_async"], "render", AlreadyPendingCallError, "`reset_wait`"),
    "no step": (["reset"], "step_wait", NoAsyncCallError, "`step_async`"),
    "no step but a reset": (["reset_async"], "step_wait", NoAsyncCallError, "`reset_wait`"),
    "two waits": (["reset", "step_async", "step_wait"], "step_wait", NoAsyncCallError, "`step_a"),
    "no reset": ([], "reset_wait", NoAsyncCallError, "`reset_async`"),
    "closed": (["reset", "close"], "step", ClosedEnvironmentError, "Make a new"),
    "closed to reset": (["close"], "reset", ClosedEnvironmentError, "Make a new"),
    "closed to step_async": (["reset", "close"], "step_async", ClosedEnvironmentError, "Make a n"),
    "the seed of the random state": (
        *(["reset", "step_async"], "np_random_seed", AlreadyPendingCallError, "`step_wait`"),
    ),
    "closed to np_random_seed": (["close"], "np_random_seed", ClosedEnvironmentError, "Make a new"),
    "closed to call": (["reset", "close"], "call", ClosedEnvironmentError, "Make a new"),
}
ARGUMENTS = {
    **dict.fromkeys(("step", "step_async"), FIT),
    "call": ("greet", "hello"),
    "get_attr": ("skill",),
    "set_attr": ("skill", 1),
}


@pytest.mark.parametrize(("before", "name", "kind", "advice"), REFUSED.values(), ids=REFUSED.keys())
def test_calls_out_of_order_are_errors_of_gymnasium_and_ours(before, name, kind, advice, make):
    envs = to_gymnasium(make(Steady, num_envs=2))
    for method in before:
        getattr(envs, method)(*ARGUMENTS.get(method, ()))
    with pytest.raises(kind, match=f"Calling `{name}` .*{advice}") as raised:
        getattr(envs, name)(*ARGUMENTS.get(name, ()))
    assert isinstance(raised.value, CallOrderError)
    if before[-1:] in (["reset_async"], ["step_async"]):  # the pending call ends as it would have
        _, wait = getattr(envs, before[-1].replace("async", "wait"))(), envs.step(*FIT)
        assert wait[1].tolist() == [1, 2]


def test_a_step_before_the_first_reset_is_an_error_of_the_vectorizer(make):
    envs = to_gymnasium(make(Steady, num_envs=2))
    for step in (envs.step, envs.step_async):
        with pytest.raises(CallOrderError, match="step before reset"):
            step(*FIT)
    envs.reset()
    envs.step(*FIT)


def test_a_pending_call_is_no_longer_pending_after_close(make):
    envs = to_gymnasium(make(Steady, num_envs=2))
    envs.reset()
    envs.step_async(*FIT)
    with pytest.warns(UserWarning, match="`close` while waiting for a pending call to `step`"):
        envs.close()
    envs.close()
    assert envs.closed


def test_actions_that_do_not_fit_leave_nothing_pending(make):
    envs = to_gymnasium(make(Steady, num_envs=2))
    envs.reset()
    with pytest.raises(ValueError, match="shape"):
        envs.step_async([1, 2, 3])
    with pytest.raises(NoAsyncCallError):
        envs.step_wait()
    assert envs.step(*FIT)[1].tolist() == [1, 2]


def test_a_timeout_is_one_of_the_vectorizer(make):
    envs = to_gymnasium(make(Steady, num_envs=2))
    envs.reset_async()
    with pytest.raises(ArgumentError, match=r"got 0\.1\. Give timeout_s to pufferlib\.vector\.m"):
        envs.reset_wait(timeout=0.1)
    envs.reset_wait()
    envs.step_async(*FIT)
    with pytest.raises(ArgumentError, match=r"step_wait takes no timeout; got 5"):
        envs.step_wait(5)
    envs.step_wait(timeout=None)


def test_a_failure_in_the_pending_step_is_raised_by_the_wait():
    envs = vector.make(Fragile, [1], backend=Multiprocessing, num_envs=2, num_workers=2)
    envs = to_gymnasium(envs)
    envs.reset()
    envs.step_async([0, 1])
    with pytest.raises(WorkerError):
        envs.step_wait()
    with pytest.raises(CallOrderError, match="after close, or after a failure"):
        envs.step([0, 0])
    envs.close()


def test_steps_of_the_vectorizer_out_of_order_are_refused(make):
    envs = make(Steady, num_envs=2)
    envs.reset()
    with pytest.raises(CallOrderError, match=r"step_wait without .*\. Call step_async first"):
        envs.step_wait()
    envs.step_async(*FIT)
    with pytest.raises(CallOrderError, match=r"send after send\. Call recv"):
        envs.step_async(*FIT)
    assert envs.step_wait()[1].tolist() == [1, 2]


def test_the_errors_can_be_sent_to_another_process():
    error = pickle.loads(pickle.dumps(PendingCallError("Calling `step` ...", "reset")))
    assert (str(error), error.name) == ("Calling `step` ...", "reset")
