"""What highway-env needs around it: drivers of its own, statistics without the rest."""

import contextlib
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Discrete
from highway_env.envs.common.graphics import EnvViewer
from highway_env.utils import class_from_path

from pufferlib.environment import Info
from pufferlib.locks import process_lock

_HABITS = ("DISTANCE_WANTED", "COMFORT_ACC_MAX", "COMFORT_ACC_MIN")
_INTERSECTION = {"DISTANCE_WANTED": 7.0, "COMFORT_ACC_MAX": 6.0, "COMFORT_ACC_MIN": -3.0}
_DRIVERS = "highway_env.vehicle.behavior.IDMVehicle"
_DRIVING = process_lock()  # the classes of drivers are those of all threads

# Where SDL has been told of no display highway-env draws nothing, neither pictures nor observations
# that are pictures; drawing needs none.
EnvViewer.enabled = property(lambda viewer: True, lambda viewer, value: None)


@contextlib.contextmanager
def habits(config: dict[str, Any] | None, wanted: dict[str, float]) -> Iterator[None]:
    """Give the other drivers of a config some habits meanwhile, and those from before afterwards.

    Args:
        config: of a highway-env task, or what differs from its own.
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
    """Return the action of an agent that does nothing, of a task of several agents."""
    actions = world.action_type.agents_action_types[0]
    if hasattr(actions, "actions_indexes"):
        return actions.actions_indexes["IDLE"]
    space = actions.space()
    return space.n // 2 if isinstance(space, Discrete) else np.zeros(space.shape, space.dtype)


class Drivers(gymnasium.Wrapper[Any, Any, Any, Any], gymnasium.utils.RecordConstructorArgs):
    """Keep the habits of other drivers from leaking between environments of a process.

    The intersections set them on the class that all environments share; here each call sets those
    of its own environment, and puts back what was there.

    At an episode's end `info` is `crashed`, of which several agents have a tuple, and `success` in
    tasks that can be solved; lane-keeping has neither.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        gymnasium.utils.RecordConstructorArgs.__init__(self)
        gymnasium.Wrapper.__init__(self, env)
        task = "" if env.spec is None else env.spec.id
        self._habits = _INTERSECTION if task.startswith("intersection") else {}
        self._is_shared = "multi-agent" in task
        self._world: Any = env.unwrapped

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, Info]:
        """Start an episode; return (observation, info)."""
        config = {**self._world.config, **(options or {}).get("config", {})}
        with habits(config, self._habits):
            return self.env.reset(seed=seed, options=options)

    def step(self, action: Any) -> tuple[Any, Any, Any, Any, Info]:
        """Take one step; return (observation, reward, terminated, truncated, info)."""
        with habits(self._world.config, self._habits):
            observation, reward, terminated, truncated, info = self.env.step(action)
        reported: Info = {}
        if "crashed" in info:
            reported["crashed"] = float(info["crashed"])
        if self._is_shared:  # the package tells that of the first agent
            vehicles = self._world.controlled_vehicles
            reported["crashed"] = tuple(float(vehicle.crashed) for vehicle in vehicles)
        if "is_success" in info:
            reported["success"] = float(info["is_success"])
        return observation, reward, terminated, truncated, reported
