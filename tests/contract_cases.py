"""Environments that keep their contract, and ways to break it."""

import itertools

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, Tuple

from pufferlib.environment import PufferEnv

lives = itertools.count(2)  # shared by all instances: a source of values that no seed controls


class Good(PufferEnv):
    """Two agents draw numbers; the second is absent on odd steps; every third step is the last."""

    def __init__(self):
        self.single_observation_space = Box(-1, 1, (2,), np.float32)
        self.single_action_space = Discrete(3)
        self.num_agents = 2
        super().__init__()

    def reset(self, seed=None):
        self.random, self.now = np.random.default_rng(seed), 0
        self._show()
        return self.observations, []

    def step(self, actions):
        self.now += 1
        self._show()
        ends = self.now % 3 == 0
        self.truncations[0] = ends
        self.final_observations[:] = 1 if ends else next(lives)  # stale rows may hold anything
        infos = [{"length": 3}] if ends else []
        return self.observations, self.rewards, self.terminals, self.truncations, infos

    def _show(self):
        self.observations[:] = self.random.uniform(-1, 1, (2, 2))
        self.rewards[:] = self.random.normal(size=2)
        self.terminals[:] = self.truncations[:] = False
        self.masks[:] = True
        if self.now % 2:
            self.observations[1], self.rewards[1], self.masks[1] = 0, 0, False


def broken(method, breach):
    """Return a `Good` whose method's result, and rows, are changed by `breach(env, result)`."""

    class Broken(Good):
        pass

    def broken_method(self, argument=None):
        result = getattr(Good, method)(self, argument)
        changed = breach(self, result)
        return result if changed is None else changed

    setattr(Broken, method, broken_method)
    return Broken


def count_in_one_info(env, result):
    if not hasattr(env, "report"):
        env.report = {"seen": [0, np.zeros(1)], "name": "good"}
    env.report["seen"][1] += 1
    return (*result[:-1], [env.report])


def view_in_info(name):
    return lambda env, result: (*result[:-1], [{"seen": [(0, getattr(env, name)[:1])]}])


class Meddler(Good):
    """Changes the actions it is given."""

    def step(self, actions):
        actions[:] = 1 - actions
        return super().step(actions)


class Tale(gymnasium.Env):
    """Observes the same thing in new arrays; every fourth step is the last.

    Args:
        twist: the step on which parts of the observation are replaced.
        **parts: the replacements.
    """

    observation_space = Dict(
        image=Box(0, 9, (2,), np.uint8),
        pair=Tuple((Discrete(3, start=1), Box(-1, 1, (2,)))),
        sky=Box(0, 1, (), np.bool_),
    )
    action_space = Discrete(2)

    def __init__(self, twist=0, **parts):
        self.twist, self.parts = twist, parts

    def reset(self, *, seed=None, options=None):
        self.now = 0
        return self._observe(), {}

    def step(self, action):
        self.now += 1
        return self._observe(), 0.0, self.now == 4, False, {}

    def _observe(self):
        pair = (3, np.array([-1, 1], np.float32))
        observation = {"image": np.array([0, 9], np.uint8), "pair": pair, "sky": np.True_}
        return observation | (self.parts if self.now == self.twist else {})
