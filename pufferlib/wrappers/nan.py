"""Find the step on which an environment first says NaN."""

from collections.abc import Mapping
from typing import Any, SupportsFloat

import gymnasium
import numpy as np
import pettingzoo

from pufferlib.environment import Info
from pufferlib.exceptions import ObservationError
from pufferlib.spaces import Path, name_of
from pufferlib.wrappers._arguments import is_parallel_env


def check_nan(env: Any) -> Any:
    """Return `env`, which raises where an observation or reward holds NaN.

    Infinities pass: where a space is bounded they are outside it.

    Args:
        env: a Gymnasium or PettingZoo parallel environment.

    Raises:
        ArgumentError: `env` is no such environment.
        ObservationError: on `reset` and `step`; names the step since the reset, the agent and the
            path into the observation.
    """
    return NanCheckedAgents(env) if is_parallel_env(env, "check_nan") else NanChecked(env)


class NanChecked(gymnasium.Wrapper[Any, Any, Any, Any], gymnasium.utils.RecordConstructorArgs):
    """What `check_nan` makes of a Gymnasium environment."""

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        gymnasium.utils.RecordConstructorArgs.__init__(self)
        gymnasium.Wrapper.__init__(self, env)
        self._steps = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, Info]:
        self._steps = 0
        observation, info = self.env.reset(seed=seed, options=options)
        _refuse_nan(observation, "observation", 0, self.env)
        return observation, info

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, Info]:
        self._steps += 1
        result = self.env.step(action)
        _refuse_nan(result[0], "observation", self._steps, self.env)
        _refuse_nan(result[1], "reward", self._steps, self.env)
        return result


class NanCheckedAgents(pettingzoo.utils.BaseParallelWrapper):
    """What `check_nan` makes of a PettingZoo environment."""

    def __init__(self, env: Any) -> None:
        super().__init__(env)
        self._steps = 0

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[Any, Any], dict[Any, Info]]:
        self._steps = 0
        observations, infos = super().reset(seed=seed, options=options)
        for agent, observation in observations.items():
            _refuse_nan(observation, "observation", 0, self.env, agent)
        return observations, infos

    def step(self, actions: dict[Any, Any]) -> tuple[dict[Any, Any], ...]:
        self._steps += 1
        result = super().step(actions)
        for what, values in zip(("observation", "reward"), result[:2], strict=True):
            for agent, value in values.items():
                _refuse_nan(value, what, self._steps, self.env, agent)
        return result


def _refuse_nan(value: Any, what: str, steps: int, env: Any, agent: Any = None) -> None:
    path = _path_to_nan(value)
    if path is not None:
        where = name_of(path).replace("space", what, 1)
        whose = "" if agent is None else f" of agent {agent!r}"
        when = f"Step {steps} since the reset" if steps else "The reset"
        raise ObservationError(
            f"{when} of {env} returned NaN: {where}{whose}. Every observation and reward must be "
            f"a number. Mend the environment, or replace NaN with pufferlib.wrappers.featurize and "
            f"shape_reward."
        )


def _path_to_nan(value: Any, path: Path = ()) -> Path | None:
    """Return the keys and indices that lead to the first leaf with a NaN in it, else None."""
    if isinstance(value, Mapping):
        parts = list(value.items())
    elif isinstance(value, tuple) or (isinstance(value, list) and not _is_array(value)):
        parts = list(enumerate(value))
    else:
        array = np.asarray(value)
        return path if array.dtype.kind in "fc" and np.isnan(array).any() else None
    found = (_path_to_nan(part, (*path, key)) for key, part in parts)
    return next((deeper for deeper in found if deeper is not None), None)


def _is_array(value: list[Any]) -> bool:
    """Tell whether a list holds the numbers of one array, not values of their own shapes."""
    try:
        return np.asarray(value).dtype.kind != "O"
    except ValueError:  # of unlike shapes
        return False
