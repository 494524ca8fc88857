"""Train your own policy on your own environment, all in one file.

    python examples/your_own.py

The command line takes the same environment and policy:

    puffer train examples/your_own.py:Corridor --policy.name examples/your_own.py:TwoLayers
"""

import argparse

import gymnasium
import numpy as np
import torch
from torch import nn

from pufferlib.emulation.description import HasSpaces, describe
from pufferlib.pytorch import unflatten
from pufferlib.runs import Run


class Corridor(gymnasium.Env):
    """Walk to the lamp, left or right of the start; it pays 1, and each step costs a little."""

    metadata = {"render_modes": ["ansi"], "render_fps": 4}

    def __init__(self, length: int = 8, render_mode: str | None = None) -> None:
        self.length, self.render_mode = length, render_mode
        self.observation_space = gymnasium.spaces.Dict(
            place=gymnasium.spaces.Discrete(2 * length + 1),
            lamp_is_left=gymnasium.spaces.MultiBinary(1),
        )
        self.action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.steps = self.length, 0
        self.lamp_is_left = self.np_random.integers(2)
        return self.observe(), {}

    def step(self, action):
        self.place = min(max(self.place + (1 if action else -1), 0), 2 * self.length)
        self.steps += 1
        at_lamp = self.place == (0 if self.lamp_is_left else 2 * self.length)
        return self.observe(), float(at_lamp) - 0.02, at_lamp, self.steps == 4 * self.length, {}

    def observe(self):
        return {"place": self.place, "lamp_is_left": np.array([self.lamp_is_left], np.int8)}

    def render(self):
        cells = [" "] * (2 * self.length + 1)
        cells[0 if self.lamp_is_left else -1] = "*"
        cells[self.place] = "@"
        return "".join(cells)


class TwoLayers(nn.Module):
    """Embeds the place, adds the lamp, and returns (logits, value)."""

    def __init__(self, env: HasSpaces, hidden_size: int = 64) -> None:
        super().__init__()
        self.layout = describe(env).observation_layout
        self.places = nn.Embedding(self.layout.original["place"].n, hidden_size)
        self.lamp = nn.Linear(1, hidden_size)
        self.actor = nn.Linear(hidden_size, env.single_action_space.n)
        self.critic = nn.Linear(hidden_size, 1)

    def forward(self, observations: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        observation = unflatten(observations, self.layout)  # as the environment returned it
        place = self.places(observation["place"].long().flatten())
        hidden = torch.relu(place + self.lamp(observation["lamp_is_left"].float()))
        return self.actor(hidden), self.critic(hidden)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--timesteps", type=int, default=60_000, help="of training")
    settings = {
        "policy.name": f"{__file__}:TwoLayers",
        "train.total_timesteps": parser.parse_args().timesteps,
        "train.learning_rate": 3e-3,
        "vec.num_envs": 16,
    }
    run = Run.configure(f"{__file__}:Corridor", settings)
    checkpoint = run.train()
    for name, result in run.evaluate(checkpoint).items():
        print(f"{name:8} {result}")  # mean return, and its 95% confidence interval
