"""What highway-env needs around it: drivers of its own, statistics without the rest."""

import contextlib
from collections.abc import Iterator
from typing import Any

import gymnasium
from highway_env.vehicle.behavior import IDMVehicle

from pufferlib.environment import Info

_HABITS = ("DISTANCE_WANTED", "COMFORT_ACC_MAX", "COMFORT_ACC_MIN")
_INTERSECTION = {"DISTANCE_WANTED": 7.0, "COMFORT_ACC_MAX": 6.0, "COMFORT_ACC_MIN": -3.0}


@contextlib.contextmanager
def habits(wanted: dict[str, float]) -> Iterator[None]:
    """Give all drivers some habits meanwhile, and those from before afterwards."""
    before = {name: getattr(IDMVehicle, name) for name in _HABITS}
    try:
        _set(wanted)
        yield
    finally:
        _set(before)


def _set(values: dict[str, float]) -> None:
    for name, value in values.items():
        setattr(IDMVehicle, name, value)


class Drivers(gymnasium.Wrapper[Any, Any, Any, Any], gymnasium.utils.RecordConstructorArgs):
    """Keep the habits of other drivers from leaking between environments of a process.

    The intersections set them on the class that all environments share; here each call sets those
    of its own environment, and puts back what was there.

    At an episode's end `info` is `crashed` and, of tasks that can be solved, `success`.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        gymnasium.utils.RecordConstructorArgs.__init__(self)
        gymnasium.Wrapper.__init__(self, env)
        is_intersection = env.spec is not None and env.spec.id.startswith("intersection")
        self._habits = _INTERSECTION if is_intersection else {}

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, Info]:
        """Start an episode; return (observation, info)."""
        with habits(self._habits):
            return self.env.reset(seed=seed, options=options)

    def step(self, action: Any) -> tuple[Any, Any, Any, Any, Info]:
        """Take one step; return (observation, reward, terminated, truncated, info)."""
        with habits(self._habits):
            observation, reward, terminated, truncated, info = self.env.step(action)
        reported = {"crashed": float(info["crashed"])} if "crashed" in info else {}
        if "is_success" in info:
            reported["success"] = float(info["is_success"])
        return observation, reward, terminated, truncated, reported

    def render(self) -> Any:
        """Return a picture; highway-env's own is black where SDL has been told of no display."""
        world: Any = self.unwrapped
        if world.viewer is None:
            self.env.render()  # makes it
        if world.viewer is not None:
            world.viewer.enabled = True
        return self.env.render()
