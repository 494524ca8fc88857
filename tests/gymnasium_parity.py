"""Gymnasium's own SyncVectorEnv of the environments that our vectorizers step, to compare with."""

import copy

import gymnasium
import numpy as np
import torch
from environments import Countdown
from gymnasium.spaces import Box, Dict, Discrete
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from pufferlib.emulation import GymnasiumPufferEnv

MODES = {
    "same_step": AutoresetMode.SAME_STEP,
    "next_step": AutoresetMode.NEXT_STEP,
    "disabled": AutoresetMode.DISABLED,
}


class Chatty(gymnasium.Env):
    """Ends episodes at random; an info of every kind in steps, and in resets where `greets`.

    Args:
        greets: resets give an info.
        says_when: "always", "ends" or "never", the steps that give an info.
        end_chance: of every step.
    """

    observation_space = Dict(place=Box(-1, 1, (2, 2), np.float32), luck=Discrete(100))
    action_space = Discrete(5)

    def __init__(self, greets=True, says_when="always", end_chance=0.1):
        self.greets, self.says_when, self.end_chance = greets, says_when, end_chance

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self._observe(), {"greeting": "hello", **self._report()} if self.greets else {}

    def step(self, action):
        terminated, truncated = (self.np_random.random(2) < self.end_chance).tolist()
        says = {"always": True, "ends": terminated or truncated, "never": False}[self.says_when]
        reward = float(np.float32(self.np_random.normal() + action))
        return self._observe(), reward, terminated, truncated, self._report() if says else {}

    def _observe(self):
        place = self.np_random.uniform(-1, 1, (2, 2)).astype(np.float32)
        return {"place": place, "luck": self.np_random.integers(100)}

    def _report(self):
        """Return one of many infos: neither keys nor nesting are the same twice in a row."""
        luck = int(self.np_random.integers(100))
        info = {"luck": luck, "nested": {"deep": {"half": luck / 2}}, "picture": np.full(3, luck)}
        if luck % 2:
            info |= {"words": f"{luck} points", "is_odd": True, "small": np.int8(luck)}
        if luck % 3:
            info["nested"]["list"] = [luck]
        return info


class Wave(gymnasium.Env):
    """Observes and takes floats with bounds; ends at random; has a picture.

    Args:
        space: the observation space; None: three floats in [-1, 1].
    """

    action_space = Box(-2, 2, (2,), np.float32)
    metadata = {"render_modes": ["rgb_array"], "render_fps": 1000}  # noqa: RUF012
    render_mode = "rgb_array"

    def __init__(self, space=None):
        self.observation_space = Box(-1, 1, (3,), np.float32) if space is None else space

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.observation_space.seed(int(self.np_random.integers(2**31)))
        self.picture = np.full((8, 12, 3), self.np_random.integers(256), np.uint8)
        return self.observation_space.sample(), {}

    def step(self, action):
        terminated, truncated = (self.np_random.random(2) < 0.1).tolist()
        self.picture[:4] = self.np_random.integers(256)
        reward = float(np.float32(np.sum(action)))
        return self.observation_space.sample(), reward, terminated, truncated, {"sum": reward}

    def render(self):
        return self.picture.copy()


def cartpole():
    return gymnasium.make("CartPole-v1", max_episode_steps=15)


ENVIRONMENTS = {
    "CartPole": [cartpole] * 4,
    "Box actions": [lambda: gymnasium.make("Pendulum-v1", max_episode_steps=7)] * 4,
    "infos at both ends of an episode": [
        lambda how=how, length=length: Countdown(length, how)
        for length, how in ((1, "terminated"), (2, "truncated"), (3, "terminated"), (5, "vanished"))
    ],
    "infos of all kinds": [Chatty] * 4,
    "ending and reset in every step": [lambda: Chatty(end_chance=1)] * 4,
    "infos in steps alone": [lambda: Chatty(greets=False)] * 4,
    "infos where an episode ends alone": [lambda: Chatty(greets=False, says_when="ends")] * 4,
    "infos in resets alone": [lambda: Chatty(says_when="never")] * 4,
    "infos of some alone": [
        Chatty,
        lambda: Chatty(greets=False, says_when="ends"),
        lambda: Chatty(says_when="never"),
        lambda: Chatty(greets=False, says_when="never"),
    ],
}


class Sync(SyncVectorEnv):
    """Leaves the options of a reset as they are: Gymnasium's takes `reset_mask` out of them.

    A wrapper that looks for it afterwards, as RecordEpisodeStatistics does, would take the reset
    for one of all environments.
    """

    def reset(self, *, seed=None, options=None):
        return super().reset(seed=seed, options=options and dict(options))


def of_gymnasium(creators, autoreset="same_step"):
    """Return Gymnasium's vectorizer of the same environments, flat as ours are."""
    flat = [lambda creator=creator: GymnasiumPufferEnv(creator()) for creator in creators]
    return Sync(flat, autoreset_mode=MODES[autoreset])


def steps_of(envs, actions, seed, autoreset):
    """Yield the results of a reset and of steps; without autoreset, of resets of what is over.

    Rewards have the precision of our rows, and infos no wall-clock times.
    """
    yield envs.reset(seed=seed)
    for action in actions:
        own = copy.deepcopy(action)  # some wrappers write into it
        observations, rewards, terminations, truncations, infos = envs.step(own)
        for info in infos if isinstance(infos, list) else [infos]:
            info.get("episode", {}).pop("t", None)
        if isinstance(rewards, np.ndarray):
            rewards = rewards.astype(np.float32)
        yield observations, rewards, terminations, truncations, infos
        is_over = np.asarray(terminations) | np.asarray(truncations)
        if autoreset == "disabled" and is_over.any():
            yield envs.reset(options={"reset_mask": is_over})


def assert_equal(ours, theirs, path="result"):
    """Compare nested results: types, dtypes, shapes and values."""
    assert type(ours) is type(theirs), path
    if isinstance(theirs, dict):
        assert ours.keys() == theirs.keys(), path
        for key in theirs:
            assert_equal(ours[key], theirs[key], f"{path}[{key!r}]")
    elif isinstance(theirs, (list, tuple)):
        assert len(ours) == len(theirs), path
        for index, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
            assert_equal(mine, other, f"{path}[{index}]")
    elif isinstance(theirs, torch.Tensor):
        assert_equal(ours.numpy(), theirs.numpy(), path)
    elif isinstance(theirs, np.ndarray) and theirs.dtype == object:
        assert_equal(ours.tolist(), theirs.tolist(), path)
    elif isinstance(theirs, np.ndarray):
        assert ours.dtype == theirs.dtype, path
        np.testing.assert_array_equal(ours, theirs, path)
    else:
        assert ours == theirs, path
