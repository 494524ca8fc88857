"""What a creator of the main script names is there in a worker, however the worker starts."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from pufferlib.exceptions import ArgumentError
from pufferlib.vector.pickling import pickled

TESTS = Path(__file__).parents[1]

# The observation is built in bodies of classes in functions, from globals of the script alone.
SCRIPT = """
import sys

import gymnasium
import numpy as np
from pufferlib import vector

LIMIT, START = 7, 2


def make_env(bonus=0):
    class Counter(gymnasium.Env):
        observation_space = gymnasium.spaces.Box(0, LIMIT, (2,), np.int64)
        action_space = gymnasium.spaces.Discrete(2)

        class Settings:
            start = START

        def reset(self, *, seed=None, options=None):
            class Local:
                limit = LIMIT

            return np.array([self.Settings.start + bonus, Local.limit]), {}

        def step(self, action):
            return self.reset()[0], 0.0, False, False, {}

        def add(self, function):
            return function(self.Settings.start)

    return Counter()


def plus(number):
    class Sum:
        value = START

    return number + Sum.value


if __name__ == "__main__":
    creators = [make_env, lambda: make_env(1)]
    options = {"num_workers": 2, "start_method": sys.argv[2]} if len(sys.argv) > 2 else {}
    envs = vector.make(creators, num_envs=2, backend=sys.argv[1], **options)
    print(envs.reset(seed=0)[0].tolist(), envs.call("add", plus))
    envs.close()
"""


@pytest.mark.parametrize(
    "backend",
    [
        ["Serial"],
        ["Multiprocessing", "fork"],
        ["Multiprocessing", "forkserver"],
        ["Multiprocessing", "spawn"],
    ],
    ids=" ".join,
)
def test_a_class_in_a_creator_of_the_script_may_name_its_globals(backend, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, str(script), *backend],
        env={**os.environ, "PYTHONPATH": str(TESTS.parent)},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert (done.stdout, done.stderr) == ("[[2, 7], [3, 7]] [4, 4]\n", "")


def test_names_that_are_not_globals_are_left_out():
    globals_ = {"__name__": "__main__", "used": 1, "unused": (each for each in ())}
    source = "def make():\n    class Made:\n        own = 2\n        value = own + used\n"
    exec(f"{source}    return Made", globals_)
    assert pickle.loads(pickled("creator", globals_["make"]))().value == 3


CLASS_BODIES = {
    "name = 3\nvalue = name": ("unpicklable", 3),
    "name = 3\nfor each in (1, 2):\n    value = name": ("unpicklable", 3),
    "value = name\nname = 3": (5, 5),
    "name = 3\ndel name\nvalue = name": (5, 5),
    "if missing:\n    name = 3\nvalue = name": (5, 5),
    "for name in missing:\n    pass\nvalue = name": (5, 5),
    "try:\n    name = missing[0]\nexcept IndexError:\n    pass\nvalue = name": (5, 5),
}


@pytest.mark.parametrize("body", CLASS_BODIES)
def test_a_class_body_reads_its_own_name_before_a_global_of_that_name(body):
    name, value = CLASS_BODIES[body]
    name = (each for each in ()) if name == "unpicklable" else name
    globals_ = {"__name__": "__main__", "name": name, "missing": ()}
    lines = ["def make():", "    class Made:", *(f"        {line}" for line in body.splitlines())]
    exec("\n".join([*lines, "    return Made"]), globals_)
    assert globals_["make"]().value == value
    assert pickle.loads(pickled("creator", globals_["make"]))().value == value


def test_what_cannot_be_pickled_is_refused_by_its_name():
    with pytest.raises(ArgumentError, match=r"The creator must be picklable.*: Type.*Serial"):
        pickled("The creator", (yielded for yielded in ()))
