"""The tasks of benchmarks/defaults.py that are not Gymnasium's own, as Gymnasium ids.

Importing this module registers them. Vectors in place of what MiniGrid and FrozenLake return, since
CleanRL's script takes nothing else.
"""

import gymnasium
import numpy as np


class OneHot(gymnasium.ObservationWrapper):
    """A Discrete observation as float32 (n,): 1 at its place."""

    def __init__(self, env: gymnasium.Env) -> None:
        super().__init__(env)
        self.observation_space = gymnasium.spaces.Box(0, 1, (env.observation_space.n,), np.float32)

    def observation(self, observation: int) -> np.ndarray:
        return np.eye(self.observation_space.shape[0], dtype=np.float32)[observation]


def frozen_lake(render_mode: str | None = None) -> gymnasium.Env:
    return OneHot(gymnasium.make("FrozenLake-v1", render_mode=render_mode).unwrapped)


def minigrid(name: str, render_mode: str | None = None) -> gymnasium.Env:
    """A MiniGrid task whose observation is its image, 7 by 7 cells of 3 numbers, as a vector."""
    import minigrid.wrappers

    env = gymnasium.make(f"MiniGrid-{name}-v0", render_mode=render_mode)
    return gymnasium.wrappers.FlattenObservation(minigrid.wrappers.ImgObsWrapper(env))


TASKS = {
    "FrozenLakeVector-v0": {"entry_point": frozen_lake, "max_episode_steps": 100},
    "Empty-8x8-v0": {"entry_point": minigrid, "kwargs": {"name": "Empty-8x8"}},
    "DoorKey-5x5-v0": {"entry_point": minigrid, "kwargs": {"name": "DoorKey-5x5"}},
}
for id_, arguments in TASKS.items():
    gymnasium.register(id_, **arguments)
if "LunarLander-v3" not in gymnasium.registry:  # before Gymnasium 1.0; the same without wind
    gymnasium.register("LunarLander-v3", "gymnasium.envs.box2d:LunarLander", max_episode_steps=1000)
