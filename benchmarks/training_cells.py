"""The cells of benchmarks/training.py: tasks, networks, and the settings that all share."""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pufferlib import registry

ENVS, HORIZON, EPOCHS, MINIBATCHES = 8, 128, 4, 4
ROLLOUT = ENVS * HORIZON
LEARNING_RATE, ENTROPY, VALUE, WORKERS = 2.5e-4, 0.01, 0.5, 2


@dataclass(frozen=True)
class Cell:
    """A task, the width of its network, and its additional rows."""

    task: str
    hidden_size: int
    kwargs: dict[str, Any] = field(default_factory=dict)
    has: tuple[str, ...] = ()

    @property
    def creator(self) -> Callable[[], Any]:
        return functools.partial(registry.resolve(self.task).make_env, **self.kwargs)

    def policy(self, env: Any) -> Any:
        return registry.resolve(self.task).default_policy()(env, hidden_size=self.hidden_size)


NATIVE, HALF = "Native", "Serial, bfloat16"
NETHACK_KEYS = {"observation_keys": ("chars", "colors", "blstats", "message")}
CELLS = {
    "cartpole": Cell("CartPole-v1", 64),
    "breakout": Cell("ALE/Breakout-v5", 512, has=(NATIVE, HALF)),
    "nethack": Cell("NetHackScore-v0", 128, NETHACK_KEYS),
    "minihack": Cell("MiniHack-Room-5x5-v0", 128),
}


class Turn(NamedTuple):
    """The measurements of a turn; with the score, if every turn is a new run."""

    steps_per_s: float
    cpu_us_a_step: float
    score: float = math.nan
