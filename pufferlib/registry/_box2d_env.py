"""Box2D, imported without its warnings, and a new world for each episode."""

import importlib
import warnings
from typing import Any

import gymnasium

from pufferlib.annotations import (
    Action,
    GymnasiumEnv,
    GymnasiumReset,
    GymnasiumStep,
    GymnasiumWrapper,
    Options,
)


def box2d() -> Any:
    """Return the module Box2D.

    SWIG's code warns that its types have no `__module__`, and crashes where that is an error.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "builtin type .* has no __module__ attribute", DeprecationWarning
        )
        return importlib.import_module("Box2D")


class NewWorld(GymnasiumWrapper, gymnasium.utils.RecordConstructorArgs):
    """Give BipedalWalker and CarRacing a new Box2D world at each reset, and rewards of type float.

    They destroy their bodies but keep the world, whose solver keeps state: without a new world, a
    second `reset` with the same seed would play a different episode.
    """

    def __init__(self, env: GymnasiumEnv) -> None:
        gymnasium.utils.RecordConstructorArgs.__init__(self)
        gymnasium.Wrapper.__init__(self, env)

    def reset(self, *, seed: int | None = None, options: Options | None = None) -> GymnasiumReset:
        """Start an episode; return (observation, info)."""
        task: Any = self.env.unwrapped
        task._destroy()
        task.world = box2d().b2World(gravity=task.world.gravity)
        return self.env.reset(seed=seed, options=options)

    def step(self, action: Action) -> GymnasiumStep:
        """Take one step; return (observation, reward, terminated, truncated, info)."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return observation, float(reward), terminated, truncated, info
