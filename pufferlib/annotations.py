"""Names for types that recur in signatures.

Some are `Any` to a type checker, because Python cannot express them: a value of the space of one
environment, or a class of PettingZoo or of the old gym package, which have no types.
"""

from collections.abc import Callable, Hashable
from typing import Any, SupportsFloat, TypeAlias, TypeVar

import gymnasium
from numpy.typing import NDArray

Array = NDArray[Any]
"""An array of any dtype."""

Space = gymnasium.Space[Any]
"""A space of Gymnasium, of any kind."""

AnySpace: TypeAlias = Any
"""A space of Gymnasium or of the old gym package; `pufferlib.spaces` reads both."""

Observation: TypeAlias = Any
"""A value of an environment's observation space: an array, number, text, dict or tuple."""

Action: TypeAlias = Any
"""A value of an environment's action space."""

Structure: TypeAlias = Any
"""A value of any space, or the arrays that store one, nested like the space."""

Agent: TypeAlias = Hashable
"""The name of an agent in a PettingZoo environment, usually a str or an int."""

Info = dict[str, Any]
"""The `info` of an environment: values of any type by name."""

Options = dict[str, Any]
"""The `options` of `reset`; each environment defines its own."""

Rendered: TypeAlias = Any
"""The result of `render`: pictures, uint8 (h, w, 3), text or None, depending on the render mode."""

GymnasiumEnv = gymnasium.Env[Observation, Action]
"""A Gymnasium environment with any spaces."""

GymnasiumWrapper = gymnasium.Wrapper[Observation, Action, Observation, Action]
"""The base class of wrappers of a Gymnasium environment."""

UserEnv: TypeAlias = Any
"""An environment of Gymnasium or PettingZoo, or a `PufferEnv`; these have no common base class."""

EnvCreator = Callable[..., UserEnv]
"""A function or class that makes one environment per call."""

GymnasiumReset = tuple[Observation, Info]
"""The result of `gymnasium.Env.reset`: (observation, info)."""

GymnasiumStep = tuple[Observation, SupportsFloat, bool, bool, Info]
"""The result of `gymnasium.Env.step`: (observation, reward, terminated, truncated, info)."""

_Agent = TypeVar("_Agent")

ParallelReset = tuple[dict[_Agent, Observation], dict[_Agent, Info]]
"""The result of `pettingzoo.ParallelEnv.reset`: (observations, infos), dicts by agent."""

ParallelStep = tuple[
    dict[_Agent, Observation],
    dict[_Agent, float],
    dict[_Agent, bool],
    dict[_Agent, bool],
    dict[_Agent, Info],
]
"""The result of its `step`: (observations, rewards, terminations, truncations, infos)."""

Kwargs = dict[str, Any]
"""Keyword arguments by name, for example of the function that makes an environment."""

JsonObject = dict[str, Any]
"""A JSON object, or a TOML table."""

StateDict = dict[str, Any]
"""The content of a checkpoint by name: tensors, plain values, lists and dicts."""
