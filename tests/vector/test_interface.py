"""Actions that do not fit and calls out of order are refused, on every backend alike."""

import gymnasium
import numpy as np
import pytest
from vector_environments import Echo, Flock

from pufferlib.exceptions import ActionError, ArgumentError, CallOrderError
from pufferlib.vector import Multiprocessing, VectorEnv
from pufferlib.vector import make as make_vector
from pufferlib.vector.interface import ActionCheck, CallOrder, CallState

FIT = [1, 2]

DO_NOT_FIT = {
    "too few": ([1], r"shape \(1,\).*Allowed is \(2,\): a row for each agent"),
    "too many": ([1, 2, 3], r"shape \(3,\)"),
    "a row too deep": ([[1, 2]], r"shape \(1, 2\)"),
    "a lone number": (1, r"shape \(\)"),
    "none": (None, r"shape \(\)"),
    "ragged": ([[1], [2, 3]], "rows of different lengths"),
    "fractions": ([0.5, 1.5], "dtype.* float64"),
    "words": (["a", "b"], "dtype.* <U1"),
}


@pytest.mark.parametrize(("actions", "match"), DO_NOT_FIT.values(), ids=DO_NOT_FIT.keys())
@pytest.mark.parametrize("steps_before", [0, 3])
def test_actions_of_a_wrong_shape_or_type_are_refused(actions, match, steps_before, make):
    envs = make(Echo, num_envs=2)
    envs.reset(seed=0)
    for _ in range(steps_before):
        envs.step(FIT)
    with pytest.raises(ActionError, match=match):
        envs.step(actions)
    observations, *_ = envs.step(FIT)  # no environment has stepped, and all still can
    assert observations[:, 2].tolist() == [steps_before + 1] * 2


@pytest.mark.parametrize("actions", [1, None])
def test_actions_that_are_no_array_are_a_type_error_as_in_gymnasium(actions):
    check = ActionCheck(gymnasium.spaces.Discrete(5), rows=2)
    with pytest.raises(TypeError, match=r"shape \(\)") as raised:
        check(actions)
    assert isinstance(raised.value, ActionError)


@pytest.mark.parametrize("actions", [[0, 1000], [-1, 0]])
def test_first_actions_outside_the_space_are_refused(actions, make):
    envs = make(Echo, num_envs=2)
    envs.reset(seed=0)
    with pytest.raises(ActionError, match=r"must lie within \[0, 999\], got (1000|-1)"):
        envs.step(actions)
    assert envs.step([0, 999])[1].tolist() == [0, 999]


@pytest.mark.parametrize("kind", [np.int64, np.uint8, np.array])
def test_a_seed_is_an_integer_of_any_type(kind, make):
    envs = make(gymnasium.make, ["CartPole-v1"], num_envs=2)
    bare = gymnasium.make("CartPole-v1")
    observations, _ = envs.reset(seed=kind(7))
    assert observations.tolist() == [bare.reset(seed=seed)[0].tolist() for seed in (7, 8)]


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8])
def test_integers_of_any_width_are_actions(dtype, make):
    envs = make(Echo, num_envs=2)
    envs.reset(seed=0)
    assert envs.step(np.array([200, 7], dtype))[1].tolist() == [200, 7]


def test_double_precision_actions_are_rounded_to_single(make):
    envs = make(gymnasium.make, ["Pendulum-v1"], num_envs=2)
    envs.reset(seed=0)
    envs.step(np.array([[0.1], [0.2]], np.float64))
    bare = gymnasium.make("Pendulum-v1")
    bare.reset(seed=0)
    expected = bare.step(np.array([0.1], np.float32))[0]
    envs.reset(seed=0)
    np.testing.assert_array_equal(envs.step([[0.1], [0.2]])[0][0], expected)


OUT_OF_ORDER = {
    "step before reset": ((), "step", "step before reset"),
    "send before reset": ((), "send", "step before reset"),
    "recv before reset": ((), "recv", "recv without a pending batch"),
    "send before recv": (("async_reset",), "send", "send after send. Call recv"),
    "send twice": (("reset", "send"), "send", "send after send. Call recv"),
    "recv twice": (("reset",), "recv", "recv without a pending batch"),
    "call amid steps": (("reset", "send"), "call", "call while a batch is pending"),
    "get_attr amid steps": (("reset", "send"), "get_attr", "get_attr while a batch"),
    "has_attr amid steps": (("reset", "send"), "has_attr", "has_attr while a batch"),
    "set_attr amid steps": (("reset", "send"), "set_attr", "set_attr while a batch"),
    "render amid steps": (("reset", "send"), "render", "while a batch is pending"),
    "reset after close": (("close",), "reset", "reset after close.*Make a new"),
    "async_reset after close": (("close",), "async_reset", "reset after close"),
    "step after close": (("reset", "close"), "step", "send after close"),
    "send after close": (("reset", "close"), "send", "send after close"),
    "recv after close": (("reset", "send", "close"), "recv", "recv after close"),
    "call after close": (("reset", "close"), "call", "call after close"),
    "get_attr after close": (("reset", "close"), "get_attr", "get_attr after close"),
    "has_attr after close": (("reset", "close"), "has_attr", "has_attr after close"),
    "set_attr after close": (("reset", "close"), "set_attr", "set_attr after close"),
    "render after close": (("reset", "close"), "render", "after close"),
}
ARGUMENTS = {
    "send": (FIT,),
    "step": (FIT,),
    "call": ("greet", "hello"),
    "get_attr": ("skill",),
    "has_attr": ("skill",),
    "set_attr": ("skill", 1),
}


@pytest.mark.parametrize(
    ("before", "name", "match"), OUT_OF_ORDER.values(), ids=OUT_OF_ORDER.keys()
)
def test_calls_out_of_order_are_refused(before, name, match, make):
    envs = make(Echo, num_envs=2)
    for method in before:
        getattr(envs, method)(*ARGUMENTS.get(method, ()))
    with pytest.raises(CallOrderError, match=match):
        getattr(envs, name)(*ARGUMENTS.get(name, ()))


NEW, PENDING, RECEIVED, CLOSED = CallState
CALLS = ("reset", "send", "recv", "step_wait", "call", "has_attr", "get_attr", "set_attr", "close")
# What a caller may do, written by hand: the calls, the state they lead to, None if refused.
ALLOWED = {
    NEW: (PENDING, None, None, None, NEW, NEW, NEW, NEW, CLOSED),
    PENDING: (PENDING, None, RECEIVED, RECEIVED, None, None, None, None, CLOSED),
    RECEIVED: (PENDING, PENDING, None, None, RECEIVED, RECEIVED, RECEIVED, RECEIVED, CLOSED),
    CLOSED: (None, None, None, None, None, None, None, None, CLOSED),
}
WAY_TO = {NEW: (), PENDING: ("reset",), RECEIVED: ("reset", "recv"), CLOSED: ("close",)}


@pytest.mark.parametrize("state", CallState)
def test_each_call_is_allowed_or_refused_in_each_state(state):
    for call, after in zip(CALLS, ALLOWED[state], strict=True):
        order = CallOrder()
        for earlier in WAY_TO[state]:
            order.advance(earlier)
        assert order.state is state
        if after is None:
            with pytest.raises(CallOrderError):
                order.check(call)
            with pytest.raises(CallOrderError):
                order.advance(call)
            assert order.state is state
        else:
            order.check(call)
            assert order.state is state  # a check changes nothing
            order.advance(call)
            assert order.state is after


def test_actions_become_rows_of_the_space_and_later_values_are_not_checked():
    check = ActionCheck(gymnasium.spaces.Box(-1, 1, (2,), np.float32), rows=3)
    rows = check([[0.5, 0.25]] * 3)
    assert (rows.shape, rows.dtype) == ((3, 2), np.float32)
    assert check(np.full((3, 2), 7.0)).tolist() == [[7.0, 7.0]] * 3  # too expensive in each step
    fit = np.zeros((3, 2), np.float32)
    assert check(fit) is fit


def test_first_values_outside_the_space_are_refused_until_some_fit():
    check = ActionCheck(gymnasium.spaces.Box(-1, 1, (2,), np.float32), rows=1)
    for _ in range(2):
        with pytest.raises(ActionError, match=r"must lie within .*got 7"):
            check([[0.0, 7.0]])


# The attributes that `VectorEnv` documents, of four environments on one worker or two.
def test_every_backend_has_what_the_interface_promises(make):
    envs = make([Echo] * 4, [[tag] for tag in range(4)], num_envs=4)
    promised = {name for name in (*VectorEnv.__annotations__, *vars(VectorEnv)) if name[0] != "_"}
    assert {"render_mode", "num_restarts", "envs_per_worker", "final_observations"} < promised
    assert {name for name in promised if not hasattr(envs, name)} == set()
    assert envs.render_mode == "ansi"
    assert envs.num_restarts == 0
    assert envs.num_workers * envs.envs_per_worker == 4


def test_a_reset_may_come_at_any_time(make):
    envs = make(Echo, num_envs=2)
    envs.reset(seed=0)
    envs.send(FIT)
    envs.async_reset(seed=0)
    envs.async_reset(seed=0)
    assert envs.recv().observations.tolist() == [[0, 0, 0, 0]] * 2


def test_a_closed_vectorizer_can_be_closed_again(make):
    envs = make(Echo, num_envs=2)
    envs.close()
    envs.close()


@pytest.mark.parametrize("env", [Echo, Flock])
def test_methods_and_attributes_of_every_environment_can_be_used(env, make):
    envs = make([env] * 4, [[tag] for tag in range(4)], num_envs=4)
    tags = [0, 1, 2, 3]
    assert envs.get_attr("tag") == tags
    assert envs.call("greet", "hello", mark="!") == [f"hello {tag}!" for tag in tags]
    assert envs.render() == [f"picture of {tag}" for tag in tags]
    envs.set_attr("skill", [10, 11, 12, 13])
    assert envs.get_attr("skill") == [10, 11, 12, 13]
    envs.set_attr("skill", 5)
    assert envs.get_attr("skill") == [5] * 4
    envs.set_attr("tag", [6, 7, 8, 9])
    assert envs.call("greet", "hello") == [f"hello {tag}." for tag in (6, 7, 8, 9)]


def test_attributes_are_reached_through_wrappers(make):
    envs = make(lambda: gymnasium.wrappers.TimeLimit(Echo(), 5), num_envs=2)
    envs.set_attr("tag", [3, 4])
    assert envs.get_attr("tag") == [3, 4]
    assert envs.reset(seed=0)[0][:, 0].tolist() == [3, 4]


@pytest.mark.parametrize("env", [Echo, Flock])
def test_one_instance_for_all_rows_is_refused(env, make):
    one = env()
    with pytest.raises(ArgumentError, match=r"must be a new object; environments 0 and 1 are the"):
        make(lambda: one, num_envs=4)


def test_a_value_that_cannot_be_sent_changes_nothing():
    envs = make_vector(Echo, backend=Multiprocessing, num_envs=2, num_workers=2)
    envs.reset(seed=0)
    with pytest.raises(ArgumentError, match="arguments of set_attr must be picklable"):
        envs.set_attr("skill", [1, (each for each in ())])
    assert envs.get_attr("skill") == [0, 0]
    envs.close()


def test_spaces_and_counts_describe_a_batch(make):
    envs = make(Flock, num_envs=4)
    assert (envs.num_envs, envs.num_agents) == (4, 12)
    assert (envs.batch_size, envs.agents_per_batch) == (4, 12)
    assert envs.observation_space.shape == (12, 2)
    assert envs.action_space.shape == (12,)
    assert envs.single_observation_space.shape == (2,)
    assert envs.single_action_space.n == 1000
    assert envs.metadata["autoreset_mode"] is gymnasium.vector.AutoresetMode.SAME_STEP
