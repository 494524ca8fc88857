"""Wrappers for highway-env: isolated driver settings, and infos with statistics only."""

import contextlib
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Discrete
from highway_env.envs.common.graphics import EnvViewer
from highway_env.utils import class_from_path

from pufferlib.annotations import (
    Action,
    GymnasiumEnv,
    GymnasiumReset,
    GymnasiumStep,
    GymnasiumWrapper,
    Kwargs,
    Options,
)
from pufferlib.environment import Info
from pufferlib.locks import process_lock

_HABITS = ("DISTANCE_WANTED", "COMFORT_ACC_MAX", "COMFORT_ACC_MIN")
_INTERSECTION = {"DISTANCE_WANTED": 7.0, "COMFORT_ACC_MAX": 6.0, "COMFORT_ACC_MIN": -3.0}
_DRIVERS = "highway_env.vehicle.behavior.IDMVehicle"
_DRIVING = process_lock()  # all threads share the driver classes

# With SDL's dummy driver highway-env renders nothing, not even image observations, although
# rendering needs no display.
EnvViewer.enabled = property(lambda viewer: True, lambda viewer, value: None)


@contextlib.contextmanager
def driver_behavior(config: Kwargs | None, wanted: dict[str, float]) -> Iterator[None]:
    """Set attributes of the other drivers' class inside the block, and restore them afterwards.

    Args:
        config: of a highway-env task, or the part that differs from the default.
        wanted: attributes of the drivers' class.
    """
    kind = class_from_path((config or {}).get("other_vehicles_type", _DRIVERS))
    with _DRIVING:
        before = {name: vars(kind)[name] for name in _HABITS if name in vars(kind)}
        try:
            for name, value in wanted.items():
                setattr(kind, name, value)
            yield
        finally:
            for name in _HABITS:
                if name in before:
                    setattr(kind, name, before[name])
                elif name in vars(kind):
                    delattr(kind, name)  # what it inherits holds again


def idle(world: Any) -> Any:
    """Return the action with which an agent of a multi-agent task does nothing."""
    actions = world.action_type.agents_action_types[0]
    if hasattr(actions, "actions_indexes"):
        return actions.actions_indexes["IDLE"]
    space = actions.space()
    return space.n // 2 if isinstance(space, Discrete) else np.zeros(space.shape, space.dtype)


class Drivers(GymnasiumWrapper, gymnasium.utils.RecordConstructorArgs):
    """Keep the behavior of other drivers from leaking between environments of a process.

    The intersections set it on the class that all environments share. Here each call sets the
    behavior of its environment and restores the previous one.

    At the end of an episode `info` has `crashed`, a tuple if there are several agents, and
    `success` in tasks that can be solved; lane-keeping has neither.
    """

    def __init__(self, env: GymnasiumEnv) -> None:
        gymnasium.utils.RecordConstructorArgs.__init__(self)
        gymnasium.Wrapper.__init__(self, env)
        task = "" if env.spec is None else env.spec.id
        self._behavior = _INTERSECTION if task.startswith("intersection") else {}
        self._is_shared = "multi-agent" in task
        self._world: Any = env.unwrapped

    def reset(self, *, seed: int | None = None, options: Options | None = None) -> GymnasiumReset:
        """Start an episode; return (observation, info)."""
        config = {**self._world.config, **(options or {}).get("config", {})}
        with driver_behavior(config, self._behavior):
            return self.env.reset(seed=seed, options=options)

    def step(self, action: Action) -> GymnasiumStep:
        """Take one step; return (observation, reward, terminated, truncated, info)."""
        with driver_behavior(self._world.config, self._behavior):
            observation, reward, terminated, truncated, info = self.env.step(action)
        reported: Info = {}
        if "crashed" in info:
            reported["crashed"] = float(info["crashed"])
        if self._is_shared:  # the package reports the first agent's
            vehicles = self._world.controlled_vehicles
            reported["crashed"] = tuple(float(vehicle.crashed) for vehicle in vehicles)
        if "is_success" in info:
            reported["success"] = float(info["is_success"])
        return observation, reward, terminated, truncated, reported
