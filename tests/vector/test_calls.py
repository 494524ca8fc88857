"""Calls into environments: what they return, and that none of their failures closes anything."""

import contextlib
import pickle

import pytest
from vector_environments import (
    Echo,
    Flock,
    raise_mute,
    raise_plain,
    raise_two_arguments,
    raise_unpicklable,
)

from pufferlib import vector
from pufferlib.exceptions import ArgumentError, MissingAttributeError, WorkerError
from pufferlib.vector import Multiprocessing, to_gymnasium
from pufferlib.vector.calls import CALLS, answer_of, pickled_answer_of, results_of


class Moody(Echo):
    """An `Echo` with attributes and methods of which those with an odd tag fail."""

    def fail_with(self, fault):
        if self.tag % 2:
            fault()
        return self.tag

    @property
    def mood(self):
        return self.fail_with(raise_plain)

    @property
    def fixed(self):
        return self.tag

    @property
    def broken(self):
        return self.lost_attribute

    def look_up(self):
        return None.lost_attribute

    def unsendable(self):
        return (each for each in ()) if self.tag == 1 else self.tag

    def unreadable(self):
        return Unreadable() if self.tag == 1 else self.tag


class MoodyFlock(Flock):
    fail_with, unsendable, unreadable = Moody.fail_with, Moody.unsendable, Moody.unreadable
    mood, fixed = Moody.mood, Moody.fixed
    broken, look_up = Moody.broken, Moody.look_up


def assert_usable(envs, env):
    """Play on, and ask every environment."""
    assert envs.get_attr("tag") == [0, 1, 2, 3]
    rows_per_env = {Moody: 1, MoodyFlock: 3}[env]
    actions = [7] * 4 * rows_per_env
    rewards = envs.step(actions)[1]
    assert rewards[::rows_per_env].tolist() == [7] * 4


@pytest.fixture(params=[Moody, MoodyFlock])
def env(request):
    return request.param


@pytest.fixture
def envs(env, make):
    envs = make([env] * 4, [[tag] for tag in range(4)], num_envs=4)
    envs.reset(seed=0)
    return envs


def test_a_missing_attribute_is_an_error_that_names_the_environment(envs, env):
    for ask in (envs.get_attr, envs.call):
        with pytest.raises(
            MissingAttributeError, match=r"nvironment 0 failed in .*'nonsense'"
        ) as it:
            ask("nonsense")
        assert isinstance(it.value, WorkerError)
        assert isinstance(it.value, AttributeError)
        assert (it.value.env_index, it.value.original_type) == (0, "AttributeError")
    assert_usable(envs, env)


FAULTS = {
    raise_plain: ("ValueError", "negative energy"),
    raise_two_arguments: ("TwoArgumentsError", "energy is -1"),
    raise_unpicklable: ("UnpicklableError", "negative energy"),
    raise_mute: ("MuteError", "could not be read"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_call_that_raises_is_an_error_that_names_the_environment(fault, envs, env):
    name, text = FAULTS[fault]
    for _ in range(2):
        with pytest.raises(
            WorkerError, match=rf"nvironment 1 failed in fail_with\(\).*{name}"
        ) as it:
            envs.call("fail_with", fault)
        assert text in str(it.value)
        assert (it.value.env_index, it.value.original_type, it.value.seed) == (1, name, 1)
        assert not isinstance(it.value, AttributeError)
    assert_usable(envs, env)


def test_a_property_that_raises_is_an_error_that_names_the_environment(envs, env):
    for ask in (envs.get_attr, envs.has_attr):
        with pytest.raises(WorkerError, match=r"nvironment 1 failed in .*negative energy"):
            ask("mood")
    assert_usable(envs, env)


def test_an_attribute_that_cannot_be_set_is_an_error(envs, env):
    with pytest.raises(WorkerError, match=r"failed in set_attr.*'fixed'") as it:
        envs.set_attr("fixed", 1)
    assert not isinstance(it.value, MissingAttributeError)
    assert_usable(envs, env)


def test_an_attribute_error_inside_a_method_or_property_is_not_a_missing_attribute(envs, env):
    for ask, name in ((envs.call, "look_up"), (envs.get_attr, "broken"), (envs.call, "broken")):
        with pytest.raises(WorkerError, match="'lost_attribute'") as it:
            ask(name)
        assert not isinstance(it.value, MissingAttributeError)
        assert "lost_attribute" in str(it.value.__cause__)
        assert it.value.original_type == "AttributeError"
    assert envs.has_attr("broken") is False
    assert_usable(envs, env)


def test_has_attr_asks_every_environment(make):
    class Gifted(Echo):
        def __init__(self, tag):
            super().__init__(tag)
            if tag > 0:
                self.gift = tag

    envs = make([Gifted] * 4, [[tag] for tag in range(4)], num_envs=4)
    assert envs.has_attr("skill") is envs.has_attr("greet") is True
    assert envs.has_attr("nonsense") is False
    assert envs.has_attr("gift") is False  # environment 0 has none
    envs.set_attr("gift", 5)
    assert envs.has_attr("gift") is True


def test_a_call_of_an_attribute_that_is_not_callable_returns_it(envs, env):
    assert envs.call("tag") == [0, 1, 2, 3]
    assert envs.call("tag", "ignored", mark="!") == [0, 1, 2, 3]  # as Gymnasium's vectorizers do
    assert to_gymnasium(envs).call("tag") == (0, 1, 2, 3)
    assert_usable(envs, env)


@pytest.mark.parametrize("num_workers", [1, 2, 4])
def test_a_result_that_cannot_be_sent_names_its_environment(num_workers, env):
    envs = vector.make(
        [env] * 4,
        [[tag] for tag in range(4)],
        num_envs=4,
        backend=Multiprocessing,
        num_workers=num_workers,
    )
    envs.reset(seed=0)
    with pytest.raises(WorkerError, match=r"environment 1 failed in unsendable\(\).*TypeError"):
        envs.call("unsendable")
    assert_usable(envs, env)
    envs.close()


class Unreadable:
    """Cannot be unpickled."""

    def __reduce__(self):
        return raise_plain, ()


UNREADABLE = r"cannot be unpickled in {}: ValueError: negative energy"


@pytest.mark.parametrize("caller_steps", [False, True])
def test_a_result_that_cannot_be_received_names_its_environment(caller_steps, env):
    options = {"num_envs": 4, "num_workers": 2, "caller_steps": caller_steps}
    creators = [env] * 4, [[tag] for tag in range(4)]
    with contextlib.closing(vector.make(*creators, backend=Multiprocessing, **options)) as envs:
        envs.reset(seed=0)
        said = (
            rf"environment 1 failed in unreadable\(\).*{UNREADABLE.format('the calling process')}"
        )
        with pytest.raises(WorkerError, match=said) as it:
            envs.call("unreadable")
        assert (it.value.worker, it.value.env_index) == (0, 1)
        assert_usable(envs, env)


def test_arguments_that_a_worker_cannot_receive_name_the_method(env):
    options = {"num_envs": 4, "num_workers": 2, "backend": Multiprocessing}
    with contextlib.closing(vector.make([env] * 4, [[i] for i in range(4)], **options)) as envs:
        envs.reset(seed=0)
        asks = {
            "set_attr": lambda: envs.set_attr("skill", [1, 2, 3, Unreadable()]),
            "greet": lambda: envs.call("greet", Unreadable()),
        }
        for name, ask in asks.items():
            said = rf"failed in {name}\(\).*{UNREADABLE.format('the worker')}"
            with pytest.raises(WorkerError, match=said) as it:
                ask()
            assert it.value.worker == {"set_attr": 1, "greet": 0}[name]
            assert_usable(envs, env)


def test_an_info_that_cannot_be_received_names_its_worker():
    class Informing(Echo):
        def step(self, action):
            return *super().step(action)[:4], {"unreadable": Unreadable()}

    envs = vector.make(Informing, num_envs=2, num_workers=2, backend=Multiprocessing)
    envs.reset(seed=0)
    said = rf"Worker 0 \(environment 0\) .* step\(\).*{UNREADABLE.format('the calling process')}"
    with contextlib.closing(envs), pytest.raises(WorkerError, match=said):
        envs.step([1, 1])


def test_a_call_before_the_first_reset_may_fail_too(make, env):
    envs = make([env] * 4, [[tag] for tag in range(4)], num_envs=4)
    with pytest.raises(MissingAttributeError):
        envs.get_attr("nonsense")
    envs.reset(seed=0)
    assert_usable(envs, env)


def test_a_failed_render_leaves_the_vectorizer_usable(make):
    class Blind(Echo):
        def render(self):
            raise_plain()

    envs = make(Blind, num_envs=4)
    envs.reset(seed=0)
    with pytest.raises(WorkerError, match=r"failed in render\(\).*negative energy"):
        envs.render()
    assert envs.step([1] * 4)[1].tolist() == [1] * 4


def test_values_for_another_number_of_environments_leave_the_vectorizer_usable(envs, env):
    with pytest.raises(ArgumentError, match="skill has 3 values for 4 environments"):
        envs.set_attr("skill", [1, 2, 3])
    assert_usable(envs, env)


def test_the_exception_itself_is_the_cause_in_this_process():
    def fault():
        raise error

    error = KeyError("lost")
    envs = vector.make([Moody] * 2, [[0], [1]], num_envs=2)
    with pytest.raises(WorkerError) as raised:
        envs.call("fail_with", fault)
    assert raised.value.__cause__ is error


def test_a_failure_is_an_answer_that_any_process_can_read():
    class Asked:
        first_env, current, seeds, steps = 4, 1, [7, 8], 3

        def get_attr(self, name, positions):
            raise AttributeError(name)

        def current_lacks(self, name):
            return name == "x"

        def call(self, name, positions, args, kwargs):
            return [1, lambda: 2]

    assert set(CALLS) == {"call", "get_attr", "has_attr", "set_attr"}
    answer = answer_of(Asked(), "get_attr", ("x", [1]), worker=2)
    for failure in (answer, pickle.loads(pickle.dumps(answer))):
        assert not failure.ends_worker
        with pytest.raises(MissingAttributeError, match="Worker 2, environment 5 failed"):
            results_of([[1, 2], failure])
    arguments = pickle.dumps(("f", [0, 1], (), {}))
    sent = pickled_answer_of(Asked(), "call", "f", arguments, 2, pickle.dumps)
    with pytest.raises(WorkerError, match=r"environment 5 failed in f\(\) \(seed 8, step 3\)"):
        results_of([pickle.loads(sent)])
    assert results_of([[1, 2], [], [3]]) == [1, 2, 3]
