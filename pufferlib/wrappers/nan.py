"""Find the step on which an environment first returns NaN."""

from collections.abc import Mapping

import gymnasium
import numpy as np
import pettingzoo

from pufferlib.annotations import (
    Action,
    Agent,
    GymnasiumEnv,
    GymnasiumReset,
    GymnasiumStep,
    GymnasiumWrapper,
    Options,
    ParallelReset,
    ParallelStep,
    Structure,
    UserEnv,
)
from pufferlib.exceptions import ObservationError
from pufferlib.old_interfaces import adapted
from pufferlib.spaces import Path, name_of
from pufferlib.wrappers._arguments import is_parallel_env


def check_nan(env: UserEnv) -> UserEnv:
    """Return `env` wrapped to raise if an observation or reward contains NaN.

    Infinities are accepted; a bounded space excludes them anyway.

    Args:
        env: a Gymnasium or PettingZoo parallel environment.

    Raises:
        ArgumentError: if `env` is of another kind.
        ObservationError: on `reset` and `step`; names the step since the reset, the agent and the
            path into the observation.
    """
    env = adapted(env)
    return NanCheckedAgents(env) if is_parallel_env(env, "check_nan") else NanChecked(env)


class NanChecked(GymnasiumWrapper, gymnasium.utils.RecordConstructorArgs):
    """The result of `check_nan` for a Gymnasium environment."""

    def __init__(self, env: GymnasiumEnv) -> None:
        gymnasium.utils.RecordConstructorArgs.__init__(self)
        gymnasium.Wrapper.__init__(self, env)
        self._steps = 0

    def reset(self, *, seed: int | None = None, options: Options | None = None) -> GymnasiumReset:
        self._steps = 0
        observation, info = self.env.reset(seed=seed, options=options)
        _refuse_nan(observation, "observation", 0, self.env)
        return observation, info

    def step(self, action: Action) -> GymnasiumStep:
        self._steps += 1
        result = self.env.step(action)
        _refuse_nan(result[0], "observation", self._steps, self.env)
        _refuse_nan(result[1], "reward", self._steps, self.env)
        return result


class NanCheckedAgents(pettingzoo.utils.BaseParallelWrapper):
    """The result of `check_nan` for a PettingZoo environment."""

    def __init__(self, env: UserEnv) -> None:
        super().__init__(env)
        self._steps = 0

    def reset(
        self, seed: int | None = None, options: Options | None = None
    ) -> ParallelReset[Agent]:
        self._steps = 0
        observations, infos = super().reset(seed=seed, options=options)
        for agent, observation in observations.items():
            _refuse_nan(observation, "observation", 0, self.env, agent)
        return observations, infos

    def step(self, actions: dict[Agent, Action]) -> ParallelStep[Agent]:
        self._steps += 1
        result = super().step(actions)
        for what, values in zip(("observation", "reward"), result[:2], strict=True):
            for agent, value in values.items():
                _refuse_nan(value, what, self._steps, self.env, agent)
        return result


def _refuse_nan(
    value: Structure, what: str, steps: int, env: UserEnv, agent: Agent | None = None
) -> None:
    path = _path_to_nan(value)
    if path is not None:
        where = name_of(path).replace("space", what, 1)
        whose = "" if agent is None else f" of agent {agent!r}"
        when = f"Step {steps} since the reset" if steps else "The reset"
        raise ObservationError(
            f"{when} of {env} returned NaN: {where}{whose}. Every observation and reward must be "
            f"a number. Fix the environment, or replace NaN with pufferlib.wrappers.featurize and "
            f"shape_reward."
        )


def _path_to_nan(value: Structure, path: Path = ()) -> Path | None:
    """Return the keys and indices that lead to the first leaf with NaN; None without any."""
    if isinstance(value, Mapping):
        parts = list(value.items())
    elif isinstance(value, tuple) or (isinstance(value, list) and not _is_array(value)):
        parts = list(enumerate(value))
    else:
        array = np.asarray(value)
        return path if array.dtype.kind in "fc" and np.isnan(array).any() else None
    found = (_path_to_nan(part, (*path, key)) for key, part in parts)
    return next((deeper for deeper in found if deeper is not None), None)


def _is_array(value: list[Structure]) -> bool:
    """Return whether a list holds the numbers of one array, not values of different shapes."""
    try:
        return np.asarray(value).dtype.kind != "O"
    except ValueError:  # the shapes differ
        return False
