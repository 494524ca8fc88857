# %% [markdown]
# # Your own environment
#
# Write a Gymnasium environment, check it, train on it, evaluate the agent and watch it, each in one
# cell. This notebook is generated from `examples/your_own_environment.py` by `make notebooks`.

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
# ## Write it
#
# An ordinary Gymnasium environment is enough. Here a courier fetches a parcel and carries it to a
# door. Observations can have any structure: this one is a `Dict` with a number and two offsets.

# %%
import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete

SIZE = 5
MOVES = np.array([[-1, 0], [1, 0], [0, -1], [0, 1]])  # up, down, left, right


class Courier(gymnasium.Env):
    """Fetch the parcel (0.5), carry it to the door (0.5); each step costs 0.01."""

    metadata = {"render_modes": ["ansi"], "render_fps": 4}

    def __init__(self, render_mode=None):
        self.render_mode = render_mode
        offset = Box(-SIZE, SIZE, (2,), np.float32)  # rows and columns to walk
        self.observation_space = Dict(to_parcel=offset, to_door=offset, has_parcel=Discrete(2))
        self.action_space = Discrete(len(MOVES))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)  # seeds self.np_random: draw from nothing else
        cells = self.np_random.choice(SIZE * SIZE, 3, replace=False)
        self.place, self.parcel, self.door = np.stack(np.divmod(cells, SIZE), axis=1)
        self.has_parcel, self.steps = 0, 0
        return self.observe(), {}

    def step(self, action):
        self.place = np.clip(self.place + MOVES[action], 0, SIZE - 1)
        self.steps += 1
        reward, is_over = -0.01, False
        if not self.has_parcel and (self.place == self.parcel).all():
            self.has_parcel, reward = 1, reward + 0.5
        elif self.has_parcel and (self.place == self.door).all():
            reward, is_over = reward + 0.5, True
        is_cut = self.steps == 60  # a time limit: truncated, not terminated
        return self.observe(), reward, is_over, is_cut and not is_over, {}

    def observe(self):
        return {
            "to_parcel": (self.parcel - self.place).astype(np.float32),
            "to_door": (self.door - self.place).astype(np.float32),
            "has_parcel": self.has_parcel,
        }

    def render(self):
        board = np.full((SIZE, SIZE), ".")
        board[tuple(self.door)] = "D"
        if not self.has_parcel:
            board[tuple(self.parcel)] = "p"
        board[tuple(self.place)] = "P" if self.has_parcel else "o"
        return "\n".join("".join(row) for row in board)


env = Courier()
print(env.reset(seed=1)[0])
print(env.render())

# %% [markdown]
# ## Check it
#
# `check_env` plays the environment at random and compares everything that it returns with its
# spaces, twice from the same seed. This finds the mistakes that spoil a training silently.

# %%
from pufferlib.exceptions import ContractError
from pufferlib.testing import check_env

check_env(Courier)


class Unseeded(Courier):
    """Draws from NumPy's global generator, so that a seed does not repeat an episode."""

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place = np.random.randint(SIZE, size=2)
        return self.observe(), {}


try:
    check_env(Unseeded)
except ContractError as error:
    print(error)

# %% [markdown]
# ## Train
#
# A run is named by its environment: a class in this notebook is `__main__:Courier`, one in a file
# `my_env.py:Courier`. The settings are those of `puffer train`. The network is chosen by the
# observation. This takes some fifteen seconds; `metrics.jsonl` in the folder of the run has all
# metrics of each update.

# %%
import json

from rich.console import Console

from pufferlib.runs import Run

TIMESTEPS = 30_000
settings = {
    "vec.backend": "Serial",
    "vec.num_envs": 16,
    "train.total_timesteps": TIMESTEPS,
    "train.horizon": 64,
    "train.learning_rate": 2e-3,
    "train.seed": 1,
}
run = Run.configure("__main__:Courier", settings)
checkpoint = run.train(Console(quiet=True))
print("folder:", checkpoint.parent)

lines = (checkpoint.parent / "metrics.jsonl").read_text().splitlines()
for metrics in map(json.loads, lines[:: max(1, len(lines) // 10)]):
    print(f"{metrics['timesteps']:6} steps: return {metrics.get('episode/episode_return', 0):.2f}")

# %% [markdown]
# ## Evaluate
#
# Full episodes from seeds that training has not seen: the mean return and its 95% interval, of
# random actions, and of the policy with sampled and with the most probable actions.

# %%
for name, result in run.evaluate(checkpoint, episodes=64).items():
    print(f"{name:8} {result}")

# %% [markdown]
# ## Watch it
#
# `pufferlib.load` returns the policy for the plain environment, here one that we make ourselves.

# %%
import pufferlib

policy = pufferlib.load(checkpoint)
env = Courier(render_mode="ansi")
observation, _ = env.reset(seed=3)
screens, is_over = [env.render()], False
while not is_over:
    action = policy(observation, deterministic=True)
    observation, reward, terminated, truncated, _ = env.step(action)
    screens.append(env.render())
    is_over = terminated or truncated
for line in zip(*(screen.splitlines() for screen in screens[:12]), strict=True):
    print("   ".join(line))

# %% [markdown]
# ## Next
#
# Copy the class into a file, and every command takes it:
#
#     puffer test  my_env.py:Courier
#     puffer train my_env.py:Courier --train.total-timesteps 30000
#     puffer eval  my_env.py:Courier --render
#
# `docs/your-own-environment.md` has the rest: arguments, metrics, several agents, speed;
# `docs/your-own-policy.md` shows how to write the network.
