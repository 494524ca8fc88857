"""Environments that show what was done to them, and ones that fail.

Imported by name in worker processes, so nothing here may load torch or pytest.
"""

import concurrent.futures
import ctypes
import faulthandler
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import gymnasium
import numpy as np
import pettingzoo
import threadpoolctl
from gymnasium.spaces import Box, Discrete

from pufferlib import vector
from pufferlib.cores import usable_threads


class Echo(gymnasium.Env):
    """Observes (tag, episode, step, last action); the reward is the action.

    Episodes take `length` steps; episodes 0, 2, 4 ... terminate, the others are truncated. Only the
    last step of an episode has an info.

    Args:
        tag: who it is.
        length: steps in an episode.
        gate: file that a step waits for.
        grave: file that `close` creates.
    """

    observation_space = Box(0, 2**40, (4,), np.int64)
    action_space = Discrete(1000)
    render_mode = "ansi"

    def __init__(self, tag=0, length=2**40, gate=None, grave=None):
        self.tag, self.length, self.gate, self.grave = tag, length, gate, grave
        self.skill = 0

    def reset(self, *, seed=None, options=None):
        self.episode = 0 if seed is not None else self.episode + 1
        self.steps = 0
        return self._observe(0), {}

    def step(self, action):
        while self.gate is not None and not os.path.exists(self.gate):
            time.sleep(0.001)
        self.steps += 1
        ended = self.steps == self.length
        terminated = ended and self.episode % 2 == 0
        info = {"episode": self.episode} if ended else {}
        return self._observe(action), float(action), terminated, ended and not terminated, info

    def _observe(self, action):
        return np.array([self.tag, self.episode, self.steps, action], np.int64)

    def render(self):
        return f"picture of {self.tag}"

    def greet(self, greeting, mark="."):
        return f"{greeting} {self.tag}{mark}"

    def pid(self):
        return os.getpid()

    def has_loaded(self, module):
        return module in sys.modules

    def close(self):
        if self.grave is not None:
            Path(self.grave).touch()


class Unclosable(Echo):
    """Hangs in `close`."""

    def close(self):
        hang()


class Asked(gymnasium.Env):
    """Keeps what each reset was asked for, takes a key from the options, and fails on action 2."""

    observation_space, action_space = Box(0, 1, (1,)), Discrete(3)

    def __init__(self):
        self.asked = []

    def reset(self, *, seed=None, options=None):
        self.asked.append((seed, None if options is None else dict(options)))
        if options:
            options.pop("level", None)
        return np.zeros(1, np.float32), {}

    def step(self, action):
        if action == 2:
            raise ValueError("as ordered")
        return np.zeros(1, np.float32), 0.0, action == 1, False, {}


class Flock(pettingzoo.ParallelEnv):
    """Agents a, b and c; `a` dies early, `c` joins late, and the order of the dicts is reversed.

    An agent observes (10 * tag + its number from 1, step) and is rewarded with its action. An
    episode has four steps: a and b begin; at step 2 a terminates and c joins; at step 4 b
    terminates and c is truncated.
    """

    metadata = {"name": "flock"}  # noqa: RUF012  # as PettingZoo declares it
    possible_agents = ["a", "b", "c"]  # noqa: RUF012
    render_mode = None

    def __init__(self, tag=0):
        self.tag = tag
        self.skill = 0

    def observation_space(self, agent):
        return Box(0, 2**40, (2,), np.int64)

    def action_space(self, agent):
        return Discrete(1000)

    def reset(self, seed=None, options=None):
        self.steps, self.agents = 0, ["b", "a"]
        return self._observe(self.agents), {agent: {} for agent in self.agents}

    def step(self, actions):
        self.steps += 1
        acting = self.agents
        seen = [*acting, "c"] if self.steps == 2 else acting
        dies = {2: "a", 4: "b"}.get(self.steps)
        terminations = {agent: agent == dies for agent in seen}
        truncations = {agent: agent == "c" and self.steps == 4 for agent in seen}
        self.agents = [agent for agent in seen if not (terminations[agent] or truncations[agent])]
        rewards = {agent: float(actions[agent]) for agent in acting}
        infos = {agent: {} if agent in self.agents else {"ends": agent} for agent in seen}
        return self._observe(seen), rewards, terminations, truncations, infos

    def _observe(self, agents):
        number = {"a": 1, "b": 2, "c": 3}
        return {a: np.array([10 * self.tag + number[a], self.steps]) for a in agents}

    def greet(self, greeting, mark="."):
        return f"{greeting} {self.tag}{mark}"

    def render(self):
        return f"picture of {self.tag}"


class Faulty(Echo):
    """Calls `fault()` in its constructor, in reset, or in step 3.

    Args:
        where: "__init__", "reset" or "step"; anything else: never.
        fault: one of the functions below.
        tag: as in `Echo`.
    """

    def __init__(self, where, fault, tag=0):
        super().__init__(tag)
        self.where, self.fault = where, fault
        if where == "__init__":
            fault()

    def reset(self, *, seed=None, options=None):
        if self.where == "reset":
            self.fault()
        return super().reset(seed=seed)

    def step(self, action):
        result = super().step(action)
        if self.where == "step" and self.steps == 3:
            self.fault()
        return result


class Fragile(gymnasium.Wrapper):
    """CartPole that raises in one step of its life.

    Args:
        at: the number of that step, from 1; 0: it never does.
    """

    def __init__(self, at=0):
        super().__init__(gymnasium.make("CartPole-v1"))
        self.at, self.steps = at, 0

    def step(self, action):
        self.steps += 1
        if self.steps == self.at:
            raise RuntimeError(f"step {self.at} of my life")
        return super().step(action)


class Troubled(Echo):
    """An `Echo` whose actions from 900 make it fail, now or in its next reset.

    Args:
        tag: as in `Echo`.
        length: as in `Echo`.
        log: file that gets a line for each that is made.
        fates: by that line, what fails before any action: "__init__", "reset" or nothing.
    """

    RAISE, DIE, HANG, DAWDLE = 900, 901, 902, 903
    RAISE_IN_RESET, DIE_IN_RESET, HANG_IN_RESET, DAWDLE_IN_RESET = 910, 911, 912, 913
    DAWDLES_S = 1.0

    def __init__(self, tag=0, length=2**40, log=None, fates=()):
        super().__init__(tag, length)
        self.order, self.given_seed, self.episode = 0, None, -1
        if log is not None:
            with open(log, "a") as file:
                file.write("made\n")
            life = len(Path(log).read_text().splitlines()) - 1
            fate = fates[life] if life < len(fates) else ""
            self.order = self.RAISE_IN_RESET if fate == "reset" else 0
            if fate == "__init__":
                raise ValueError(f"life {life} is not to be")

    def reset(self, *, seed=None, options=None):
        self.given_seed = self.given_seed if seed is None else seed
        order, self.order = self.order, 0
        self._obey(order - 10)
        return super().reset(seed=seed)

    def step(self, action):
        if action >= self.RAISE_IN_RESET:
            self.order = int(action)
        else:
            self._obey(action)
        return super().step(action)

    def _obey(self, order):
        if order == self.RAISE:
            raise ValueError("as ordered")
        if order == self.DIE:
            os.kill(os.getpid(), signal.SIGKILL)
        if order == self.HANG:
            hang()
        if order == self.DAWDLE:
            time.sleep(self.DAWDLES_S)


class Numeric(Echo):
    """Reports how many threads its process would compute with."""

    def threads_of_libraries(self):
        np.ones((64, 64)) @ np.ones((64, 64))
        return [(each["user_api"], each["num_threads"]) for each in threadpoolctl.threadpool_info()]

    def threads_of_torch(self):
        import torch

        return torch.get_num_threads()

    def threads_that_suit(self):
        return usable_threads()

    def variable(self, name):
        return os.environ.get(name)


class Parent(Faulty):
    """An `Echo` that starts a process, which sleeps for ten minutes, and forgets to end it.

    Args:
        how: "process", "daemon", "executor", "program", "fork" or "orphan".
        where: as in `Faulty`; "__init__" does not apply.
        fault: as in `Faulty`.
    """

    def __init__(self, how, where="", fault=None):
        super().__init__(where, fault)
        self.child = STARTS[how]()

    def child_pid(self):
        return self.child


def start_process(**daemon):
    """Start a process with multiprocessing that answers; return its id."""
    ours, theirs = multiprocessing.Pipe()
    multiprocessing.Process(target=answer_and_sleep, args=(theirs,), **daemon).start()
    return ours.recv()


def answer_and_sleep(connection):
    connection.send(os.getpid())
    time.sleep(600)


def start_executor():
    """Start a process of a pool that is kept; return its id."""
    global executor
    executor = concurrent.futures.ProcessPoolExecutor(1)
    return executor.submit(os.getpid).result()


def start_orphan():
    """Start a program in a session of a shell that ends; return its id."""
    shell = ["sh", "-c", "sleep 600 >/dev/null & echo $!"]
    return int(subprocess.run(shell, start_new_session=True, stdout=subprocess.PIPE).stdout)


STARTS = {
    "process": start_process,
    "daemon": lambda: start_process(daemon=True),
    "executor": start_executor,
    "program": lambda: subprocess.Popen(["sleep", "600"]).pid,
    "fork": lambda: leave_a_child(),
    "orphan": start_orphan,
}


class Nested(Echo):
    """Plays two `Echo` in two worker processes, and adds up their rewards.

    Args:
        start_method: of these.
        closes: close them with this environment.
    """

    def __init__(self, start_method=None, closes=True):
        super().__init__()
        options = {"backend": "Multiprocessing", "num_envs": 2, "num_workers": 2}
        self.envs = vector.make(Echo, start_method=start_method, **options)
        self.closes = closes

    def reset(self, *, seed=None, options=None):
        self.envs.reset(seed or 0)
        return super().reset(seed=seed)

    def step(self, action):
        observation, _, *rest = super().step(action)
        return observation, float(self.envs.step([action, action])[1].sum()), *rest

    def pids(self):
        return self.envs.call("pid")

    def close(self):
        if self.closes:
            self.envs.close()


class Computing(Echo):
    """Computes in each step with a library that may use threads; its reward is how many it may.

    Args:
        library: a key of `COMPUTE`.
    """

    def __init__(self, library):
        super().__init__()
        self.compute = COMPUTE[library]

    def step(self, action):
        observation, _, *rest = super().step(action)
        return observation, float(self.compute()), *rest


def compute_with_torch():
    """Compute in parallel; return the number of threads."""
    import torch

    torch.nn.functional.linear(torch.ones(2048, 512), torch.ones(512, 512))
    torch.ones(2**21).add_(1).sum()
    return torch.get_num_threads()


def compute_with_opencv():
    import cv2

    cv2.GaussianBlur(np.zeros((2000, 2000, 3), np.uint8), (31, 31), 0)
    return cv2.getNumThreads()


def compute_with_numba():
    import numba

    @numba.njit(parallel=True)
    def add(array):
        total = 0.0
        for i in numba.prange(len(array)):
            total += array[i]
        return total

    assert add(np.ones(10**5)) == 10**5
    return numba.get_num_threads()


COMPUTE = {
    "torch": compute_with_torch,
    "opencv": compute_with_opencv,
    "numba": compute_with_numba,
}


def raise_plain():
    raise ValueError("negative energy")


class TwoArgumentsError(Exception):
    """Cannot be rebuilt from its message alone, as unpickling would."""

    def __init__(self, what, amount):
        super().__init__(f"{what} is {amount}")


def raise_two_arguments():
    raise TwoArgumentsError("energy", -1)


class UnpicklableError(Exception):
    def __reduce__(self):
        raise TypeError("not me")


def raise_unpicklable():
    raise UnpicklableError("negative energy")


class MuteError(Exception):
    def __str__(self):
        raise RuntimeError("no comment")


def raise_mute():
    raise MuteError


def be_killed():
    os.kill(os.getpid(), signal.SIGKILL)


def crash():
    faulthandler.disable()  # pytest's would print a dump that looks like a failed test
    ctypes.string_at(0)


def exit_at_once():
    os._exit(7)


def hang():
    while True:
        time.sleep(60)


def leave_a_child():
    """Fork a process that holds open, for ten minutes, what this one has open; return its id."""
    child = os.fork()
    if child == 0:
        os.closerange(0, 3)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(600)
        hang()
    return child


def fall_asleep():
    """Hang, having said so on standard output."""
    os.write(1, b"asleep\n")  # in one piece: several processes write here
    hang()
