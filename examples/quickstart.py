# %% [markdown]
# # pufferlib in five minutes
#
# Emulation, vectorization, a policy and training, each in one cell. This notebook is generated from
# `examples/quickstart.py` by `make notebooks`.

# %%
# In Colab, or wherever pufferlib is missing, this installs it. It needs no compiler. SOURCE is what
# pip installs: a folder with the repository, a wheel, or "git+https://" and the address of yours.
import importlib.util
import subprocess
import sys

SOURCE = ".."
if importlib.util.find_spec("pufferlib") is None:
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", SOURCE], check=True)

# %% [markdown]
# ## Emulation
#
# Any Gymnasium or PettingZoo environment, with observations and actions of any structure, becomes
# one with flat rows. Nothing is lost: the layout unflattens them again, as views.

# %%
import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete

from pufferlib.emulation import GymnasiumPufferEnv


class Lamp(gymnasium.Env):
    """Walk to the lamp, left or right of the start, in as few steps as possible."""

    observation_space = Dict(place=Box(-8, 8, (1,), np.float32), lamp_is_left=Discrete(2))
    action_space = Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.steps = 0, 0
        self.lamp_is_left = self.np_random.integers(2)
        return self.observe(), {}

    def step(self, action):
        self.place += 1 if action else -1
        self.steps += 1
        at_lamp = self.place == (-8 if self.lamp_is_left else 8)
        is_over = bool(abs(self.place) == 8)
        return self.observe(), float(at_lamp) - 0.02, is_over, self.steps == 64, {}

    def observe(self):
        return {"place": np.array([self.place], np.float32), "lamp_is_left": self.lamp_is_left}


env = GymnasiumPufferEnv(Lamp())
row, info = env.reset(seed=0)
print("flat:       ", env.observation_space)
print("unflattened:", env.observation_layout.unflatten(row))

# %% [markdown]
# ## Vectorization
#
# The same environment many times. `Serial` steps all in this process, so breakpoints work;
# `Multiprocessing` steps them in worker processes over shared memory. Both return the same rows.

# %%
from pufferlib.vector import make
from pufferlib.wrappers import EpisodeStats


def make_env():
    return GymnasiumPufferEnv(EpisodeStats(Lamp()))  # reports each episode's return


envs = make(make_env, backend="Serial", num_envs=16)
observations, infos = envs.reset(seed=0)
observations, rewards, terminals, truncations, infos = envs.step(envs.action_space.sample())
print("observations:", observations.shape, observations.dtype)

# %% [markdown]
# ## A policy
#
# Any PyTorch module that takes rows and returns `(logits, value)`.

# %%
import torch
from torch import nn

from pufferlib.pytorch import unflatten


class Policy(nn.Module):
    """Two layers over the place and the side of the lamp."""

    def __init__(self, env):
        super().__init__()
        self.layout = env.observation_layout
        self.encoder = nn.Linear(2, 64)
        self.actor, self.critic = nn.Linear(64, 2), nn.Linear(64, 1)

    def forward(self, rows):
        observation = unflatten(rows, self.layout)  # the Dict again
        side = 2 * observation["lamp_is_left"].float().reshape(-1, 1) - 1
        place = observation["place"] / 8
        hidden = torch.relu(self.encoder(torch.cat([place, side], dim=1)))
        return self.actor(hidden), self.critic(hidden)


torch.manual_seed(1)
policy = Policy(envs)

# %% [markdown]
# ## Training
#
# PPO, for some ten seconds. The best return is 0.84: 1 for the lamp, less 0.02 for each of eight
# steps.

# %%
from pufferlib.ppo import PPOConfig, Trainer, evaluate

config = PPOConfig(total_timesteps=20_000, horizon=64, learning_rate=3e-3)
trainer = Trainer(config, envs, policy)
while not trainer.is_done:
    metrics = trainer.step()
    if trainer.updates % 5 == 0 or trainer.is_done:
        print(f"{trainer.timesteps:6} steps: return {metrics['episode/episode_return']:.2f}")
envs.close()

# %% [markdown]
# ## Evaluation
#
# Full episodes with seeds that training has not seen: the mean return, and its 95% interval.

# %%
games = make(make_env, backend="Serial", num_envs=64)
print("trained:", evaluate(games, policy, seed=1_000_000))
print("random: ", evaluate(games, None, seed=1_000_000))
games.close()

# %% [markdown]
# ## Next
#
# `puffer train my_env.py:MyEnv` trains from the command line, with checkpoints, logs and presets
# for 28 families of environments. `docs/training.md` describes it, and `docs/examples.md` lists the
# other examples.
