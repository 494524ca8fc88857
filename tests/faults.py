"""Small environments with a fault that can be left out, and short training runs in them."""

import dataclasses
from contextlib import closing

import gymnasium
import numpy as np
import torch

from pufferlib import vector
from pufferlib.emulation import GymnasiumPufferEnv
from pufferlib.models import Default
from pufferlib.ppo.config import PPOConfig
from pufferlib.registry.ocean.spaces import Spaces
from pufferlib.registry.ocean.squared import Squared
from pufferlib.training import Trainer
from pufferlib.wrappers import EpisodeStats


class ScaledSquared(Squared):
    """Squared whose observations, whole numbers from -1 to 1, are multiplied by `scale`."""

    def __init__(self, scale=1.0, buffers=None):
        self.scale = scale
        super().__init__(num_agents=32, buffers=buffers)

    def _draw(self, rows):
        super()._draw(rows)
        rows *= self.scale


class SeededSpaces(Spaces):
    """Spaces whose environments all draw the same numbers if `ignores_seed`."""

    def __init__(self, ignores_seed):
        super().__init__()
        self.ignores_seed, self.has_begun = ignores_seed, False

    def reset(self, *, seed=None, options=None):
        if self.ignores_seed:
            seed, self.has_begun = None if self.has_begun else 0, True
        return super().reset(seed=seed, options=options)


class Treadmill(gymnasium.Env):
    """Rewards every step with 0.05 for 20 steps; the observation does not show the time.

    Args:
        end: "termination", "truncation", or "none".
    """

    observation_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, end):
        self.end = end

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.count = 0
        return self._observe(), {}

    def step(self, action):
        self.count += 1
        is_last = self.count % 20 == 0
        ends = is_last and self.end == "termination", is_last and self.end == "truncation"
        return self._observe(), 0.05, *ends, {}

    def _observe(self):
        return self.np_random.uniform(-1, 1, 2).astype(np.float32)


class Masked(gymnasium.Env):
    """A game of one step: half of the eight actions are legal, and the first legal one pays."""

    observation_space = gymnasium.spaces.Dict(
        action_mask=gymnasium.spaces.Box(0, 1, (8,), np.int8),
        observation=gymnasium.spaces.Box(0, 1, (1,), np.float32),
    )
    action_space = gymnasium.spaces.Discrete(8)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.legal = self.np_random.permutation(8) < 4
        return self._observe(), {}

    def step(self, action):
        return self._observe(), float(action == self.legal.argmax()), True, False, {}

    def _observe(self):
        return {"action_mask": self.legal.astype(np.int8), "observation": np.ones(1, np.float32)}


class ScaledValues(Default):
    """Default whose values are multiplied by 1000."""

    def decode_actions(self, hidden, lookup=None):
        heads, values = super().decode_actions(hidden, lookup)
        return heads, 1000 * values


class SaturatedDefault(Default):
    """Default whose hidden layers begin with 300 times the usual weights."""

    def __init__(self, env, hidden_size):
        super().__init__(env, hidden_size)
        self.encoder[0].weight.data *= 300
        self.encoder[2].weight.data *= 300


class SharpDefault(Default):
    """Default whose logits begin so far apart that it never tries another action."""

    def decode_actions(self, hidden, lookup=None):
        logits, values = super().decode_actions(hidden, lookup)
        return logits + 20 * torch.nn.functional.one_hot(torch.tensor(0), logits.shape[1]), values


class Unscaled(Default):
    """Default whose actions are clipped to the bounds."""

    rescale_actions = False


def emulated(kind, *args, **kwargs):
    """Return an environment of a class as a PufferEnv with statistics of episodes."""
    return GymnasiumPufferEnv(EpisodeStats(kind(*args, **kwargs)))


def train(creator, policy=Default, num_envs=1, updates=20, **settings):
    """Train; return the metrics of each update, and the settings as config.json has them."""
    with closing(vector.make(creator, backend="Serial", num_envs=num_envs)) as vecenv:
        settings = {"normalize_rewards": False, "device": "cpu", **settings}
        settings = {"horizon": 16, "learning_rate": 3e-3, **settings}
        steps = updates * settings["horizon"] * vecenv.num_agents
        config = PPOConfig(total_timesteps=steps, **settings)
        trainer = Trainer(config, vecenv, policy(vecenv, 32))
        records = []
        while len(records) < updates and not trainer.is_done:
            records.append(trainer.step())
    return records, {"train": dataclasses.asdict(config)}
