"""The cells of benchmarks/training.py: tasks, networks, and the settings that all share."""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import gymnasium

from pufferlib import registry

ENVS, HORIZON, EPOCHS, MINIBATCHES = 8, 128, 4, 4
ROLLOUT = ENVS * HORIZON
LEARNING_RATE, ENTROPY, VALUE, WORKERS = 2.5e-4, 0.01, 0.5, 2


@dataclass(frozen=True)
class Cell:
    """A task, the width of its network, and its additional rows.

    Attributes:
        is_vector: observations are a vector, for which Gymnasium's environment serves as it is.
        is_separate: actions and value have separate layers, as in SB3's MlpPolicy.
    """

    task: str
    hidden_size: int
    kwargs: dict[str, Any] = field(default_factory=dict)
    has: tuple[str, ...] = ()
    is_vector: bool = False
    is_separate: bool = False

    @property
    def creator(self) -> Callable[[], Any]:
        return functools.partial(registry.resolve(self.task).make_env, **self.kwargs)

    @property
    def others_creator(self) -> Callable[[], Any]:
        """Make what other libraries play: our environment only where they need it."""
        if self.is_vector:
            return functools.partial(gymnasium.make, self.task, disable_env_checker=True)
        return self.creator

    def policy(self, env: Any) -> Any:
        layers = {"critic": "separate"} if self.is_separate else {}
        make = registry.resolve(self.task).default_policy()
        return make(env, hidden_size=self.hidden_size, **layers)


NATIVE, NATIVE_CALLER_STEPS = "Native", "Native, caller steps"
HALF, COMPILED_HALF = "Serial, bfloat16", "Serial, bfloat16, compiled"
NETHACK_KEYS = {"observation_keys": ("chars", "colors", "blstats", "message")}
CELLS = {
    "cartpole": Cell("CartPole-v1", 64, is_vector=True),
    "hopper": Cell("Hopper-v5", 64, is_vector=True, is_separate=True),
    "breakout": Cell("ALE/Breakout-v5", 512, has=(NATIVE, HALF, COMPILED_HALF)),
    "nethack": Cell("NetHackScore-v0", 128, NETHACK_KEYS, has=(NATIVE, NATIVE_CALLER_STEPS)),
    "minihack": Cell("MiniHack-Room-5x5-v0", 128, has=(NATIVE, NATIVE_CALLER_STEPS)),
}


class Turn(NamedTuple):
    """The measurements of a turn; with the score, if every turn is a new run."""

    steps_per_s: float
    cpu_us_a_step: float
    score: float = math.nan
