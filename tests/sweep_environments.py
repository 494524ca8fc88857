"""Environments whose trials fail, each in its own way, at the third episode or so."""

import errno
import os
import signal
import time

import gymnasium
import numpy as np


class Failing(gymnasium.Env):
    """Ten steps an episode, a reward for action 1; fails when `at` steps were taken.

    Each step takes `pause_s`, so that training takes time, and not the CPU.
    """

    observation_space = gymnasium.spaces.Box(0, 1, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, how="not", at=100, reward=1.0, pause_s=0.0):
        self._how, self._at, self._reward, self._steps = how, at, reward, 0
        self._pause_s = pause_s

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.np_random.random(2, np.float32), {}

    def step(self, action):
        self._steps += 1
        time.sleep(self._pause_s)
        if self._steps == self._at:
            self._fail()
        observation = np.full(2, action, np.float32)
        return observation, self._reward * float(action), False, self._steps % 10 == 0, {}

    def _fail(self):
        match self._how:
            case "crash":
                os.kill(os.getpid(), signal.SIGSEGV)
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "memory":
                raise MemoryError
            case "disk":
                raise OSError(errno.ENOSPC, "No space left on device")
            case "error":
                raise ValueError("negative energy")
            case "interrupt":
                os.kill(os.getpid(), signal.SIGTERM)
            case "hang":
                time.sleep(1000)


def make_env(**kwargs):
    return Failing(**kwargs)


class NaN(Failing):
    """Its rewards are NaN after a while."""

    def step(self, action):
        observation, reward, *rest = super().step(action)
        return observation, float("nan") if self._steps > self._at else reward, *rest


def make_nan(**kwargs):
    return NaN(**kwargs)
