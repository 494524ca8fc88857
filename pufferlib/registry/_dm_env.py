"""Environments with DeepMind's dm_env interface, as Gymnasium ones."""

from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete

from pufferlib.annotations import (
    Action,
    AnySpace,
    Array,
    GymnasiumReset,
    GymnasiumStep,
    Observation,
    Options,
    Rendered,
    Space,
)
from pufferlib.exceptions import CallOrderError

_SEEDS = 2**32  # that NumPy's old generators take


class DmEnv(gymnasium.Env[Observation, Action]):
    """Play a dm_env environment, which is built again for each `reset(seed=)`.

    An end with a discount of 0 terminates; with another it truncates. Observations are copies.

    Args:
        build: returns the environment for a seed; for None the environment draws its own.
        render: returns a picture, uint8 (height, width, 3), of the environment and its last
            observation.
        render_mode: "rgb_array", or None.
    """

    metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012  (as Gymnasium declares it)

    def __init__(
        self,
        build: Callable[[int | None], Any],
        render: Callable[[Any, Any], Array],
        render_mode: str | None = None,
    ) -> None:
        self._build, self._render = build, render
        self.render_mode = render_mode
        self.dm_env: Any = build(None)
        self._timestep: Any = None
        self.observation_space = space_of(self.dm_env.observation_spec())
        self.action_space = space_of(self.dm_env.action_spec())

    def reset(self, *, seed: int | None = None, options: Options | None = None) -> GymnasiumReset:
        """Start an episode; return (observation, {})."""
        super().reset(seed=seed)
        if seed is not None:
            built = self._build(seed % _SEEDS)
            self.close()
            self.dm_env = built
        elif self.dm_env is None:
            raise CallOrderError(
                "This environment is closed. Make another one, or call reset with a seed."
            )
        self._timestep = self.dm_env.reset()
        return self._observed(), {}

    def step(self, action: Action) -> GymnasiumStep:
        """Take one step; return (observation, reward, terminated, truncated, {})."""
        self._timestep = timestep = self.dm_env.step(action)
        is_last = bool(timestep.last())
        terminated = is_last and timestep.discount == 0
        truncated = is_last and not terminated
        reward = float(timestep.reward or 0.0)
        return self._observed(), reward, terminated, truncated, {}

    def render(self) -> Rendered:
        """Return a picture, uint8 (height, width, 3); None without a render mode."""
        if self.render_mode is None:
            return None
        if self._timestep is None:
            raise gymnasium.error.ResetNeeded("There is nothing to render yet. Call reset first.")
        return self._render(self.dm_env, self._observed())

    def close(self) -> None:
        """Free the resources of the environment."""
        if self.dm_env is not None:
            self.dm_env.close()
            self.dm_env = self._timestep = None

    def _observed(self) -> Observation:
        return _value_of(self._timestep.observation, self.observation_space)


def space_of(spec: Any) -> Space:
    """Return the space of a dm_env spec, or of a mapping of them; a bool is a byte of 0 or 1."""
    if isinstance(spec, Mapping):
        return Dict({key: space_of(part) for key, part in spec.items()})
    if hasattr(spec, "num_values"):
        return Discrete(int(spec.num_values))
    if spec.dtype == bool:
        return Box(0, 1, spec.shape, np.uint8)
    if hasattr(spec, "minimum"):
        low = np.broadcast_to(spec.minimum, spec.shape).astype(spec.dtype)
        high = np.broadcast_to(spec.maximum, spec.shape).astype(spec.dtype)
        return Box(low, high, spec.shape, spec.dtype)
    if np.issubdtype(spec.dtype, np.integer):
        limits = np.iinfo(spec.dtype)
        return Box(limits.min, limits.max, spec.shape, spec.dtype)
    return Box(-np.inf, np.inf, spec.shape, spec.dtype)


def _value_of(observation: Observation, space: AnySpace) -> Observation:
    if isinstance(space, Dict):
        return {key: _value_of(observation[key], part) for key, part in space.spaces.items()}
    return np.array(observation, space.dtype)
