"""`indices` choose the environments of a call: only these are asked, in the order given."""

import numpy as np
import pytest
from vector_environments import Echo

from pufferlib import vector
from pufferlib.exceptions import ArgumentError, WorkerError
from pufferlib.vector import Multiprocessing


class Counted(Echo):
    """An `Echo` that counts its calls and can be asked for what only some of them have."""

    calls = 0

    def __init__(self, tag):
        super().__init__(tag)
        if tag == 3:
            self.crown = "golden"

    def count(self, step=1):
        self.calls += step
        return self.tag, self.calls

    def among(self, indices):
        return [self.tag, *indices]

    def fail(self):
        raise ValueError(f"no {self.tag}")

    def unsendable(self):
        return (each for each in ())

    def render(self):
        return f"picture {self.count()}"


@pytest.fixture
def envs(make):
    envs = make([Counted] * 6, [[tag] for tag in range(6)], num_envs=6)
    envs.reset(seed=0)
    return envs


# Kinds of indices, and the environments that they mean.
INDICES = {
    "one": (4, [4]),
    "from the end": (-1, [5]),
    "in order": ([0, 2, 5], [0, 2, 5]),
    "out of order": ((5, 0, 4), [5, 0, 4]),
    "of one worker": ([2, 1], [2, 1]),
    "an array": (np.array([3, -6]), [3, 0]),
    "a numpy integer": (np.int8(1), [1]),
    "a range": (range(4, 0, -2), [4, 2]),
    "none": ([], []),
    "all": (None, [0, 1, 2, 3, 4, 5]),
}


@pytest.mark.parametrize(("indices", "expected"), INDICES.values(), ids=INDICES.keys())
def test_only_these_environments_are_asked_in_this_order(indices, expected, envs):
    assert envs.call("count", indices=indices) == [(env, 1) for env in expected]
    assert envs.call("count", step=10, indices=indices) == [(env, 11) for env in expected]
    assert envs.get_attr("tag", indices=indices) == expected
    assert envs.get_attr("tag", indices) == expected
    assert envs.get_attr("calls") == [11 if env in expected else 0 for env in range(6)]
    assert envs.render(indices) == [f"picture ({env}, 12)" for env in expected]
    envs.set_attr("skill", 7, indices)
    assert envs.get_attr("skill") == [7 if env in expected else 0 for env in range(6)]
    envs.set_attr("skill", [100 + env for env in expected], indices=indices)
    assert envs.get_attr("skill") == [100 + env if env in expected else 0 for env in range(6)]
    assert envs.has_attr("crown", indices=indices) == all(env == 3 for env in expected)


def test_an_environment_named_twice_is_asked_twice(envs):
    assert envs.call("count", indices=[4, 0, 4]) == [(4, 1), (0, 1), (4, 2)]
    envs.set_attr("skill", [1, 2, 3], indices=[5, 0, 5])  # the last value stays
    assert envs.get_attr("skill", [0, 5]) == [2, 3]


def test_an_argument_of_the_method_named_indices_is_given_by_position(envs):
    assert envs.call("among", [8, 9], indices=[1, 5]) == [[1, 8, 9], [5, 8, 9]]
    with pytest.raises(WorkerError, match="missing 1 required positional argument: 'indices'"):
        envs.call("among", indices=[1])
    with pytest.raises(ArgumentError, match="pass it by position"):
        envs.call("among", indices=[8, 9])


WRONG = ["0", 6, -7, 1.0, True, [0, 6], [0, "1"], [0.0], {0}, [[0], [1]], np.ones(6, np.bool_)]


@pytest.mark.parametrize("indices", WRONG, ids=str)
def test_other_indices_are_refused_before_any_environment_is_asked(indices, envs):
    asks = {
        "call": ("count",),
        "get_attr": ("tag",),
        "has_attr": ("tag",),
        "set_attr": ("skill", 1),
        "render": (),
    }
    for name, arguments in asks.items():
        with pytest.raises(ArgumentError, match="indices must be None, the index of an environ"):
            getattr(envs, name)(*arguments, indices=indices)
    assert envs.get_attr("calls") == envs.get_attr("skill") == [0] * 6


def test_values_for_another_number_of_indices_are_refused(envs):
    with pytest.raises(ArgumentError, match="skill has 6 values for 2 environments"):
        envs.set_attr("skill", [1] * 6, indices=[0, 5])
    assert envs.get_attr("skill") == [0] * 6


def test_a_failure_names_the_environment_that_was_asked(envs):
    with pytest.raises(WorkerError, match=r"nvironment 5 failed in fail\(\).*no 5") as raised:
        envs.call("fail", indices=[5])
    assert raised.value.env_index == 5
    with pytest.raises(AttributeError, match=r"nvironment 4 failed in .*crown"):
        envs.get_attr("crown", indices=[3, 4])
    assert envs.get_attr("crown", indices=3) == ["golden"]


def test_a_result_that_cannot_be_sent_names_the_environment_that_was_asked():
    envs = vector.make(
        [Counted] * 6, [[t] for t in range(6)], None, Multiprocessing, 6, num_workers=2
    )
    with pytest.raises(WorkerError, match=r"Worker 1, environment 4 failed in unsendable\(\)"):
        envs.call("unsendable", indices=[4, 5])
    assert envs.get_attr("tag", [4]) == [4]
    envs.close()
