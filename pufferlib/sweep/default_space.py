"""The space of a task whose preset has none: what matters most to PPO, around the preset."""

import dataclasses
import math
from typing import Any

from pufferlib.config import Config
from pufferlib.policies import POLICIES

_LOWEST, _HIGHEST = 0.25, 4.0  # times the preset's value
# Settings of the algorithm; a range is widened to the preset's value.
_RANGES = (
    ("learning_rate", "log", 1e-4, 1e-2),
    ("gamma", "logit", 0.9, 0.999),
    ("gae_lambda", "logit", 0.8, 0.99),
    ("entropy_coefficient", "uniform", 0.0, 0.03),
)


def default_space(config: Config, rows: int, is_recurrent: bool) -> tuple[dict[str, str], Config]:
    """Return the lines of a space around the settings of a preset, and these settings.

    Settings that the preset leaves open, such as the number of minibatches, have in the second the
    value that the preset comes to.

    Args:
        config: the settings.
        rows: agents of all environments.
        is_recurrent: whether the policy has a memory.
    """
    train: Any = config.train  # of any algorithm
    minibatches_of = getattr(train, "minibatches_of", None)
    if minibatches_of is not None and getattr(train, "minibatches", 0) is None:
        settled = minibatches_of(rows, is_recurrent)
        train = dataclasses.replace(train, minibatches=settled)
        config = dataclasses.replace(config, train=train)
    lines = {"train.total_timesteps": _range("log", train.total_timesteps, 1.0)}
    lines["train.horizon"] = _range("power2", train.horizon)
    lines["policy.hidden_size"] = _range("power2", config.policy.hidden_size, most=1024)
    has_heads = config.policy.name is None or config.policy.name in POLICIES
    if has_heads and (std := config.policy.initial_std) is not None:
        lines["policy.initial_std"] = f"log {min(0.1, std)} {max(1.0, std)}"
    if config.vec.num_workers is None and config.vec.batch_size is None:
        lines["vec.num_envs"] = _range("power2", config.vec.num_envs)
    for name, kind in (("minibatches", "power2"), ("update_epochs", "log")):
        value = getattr(train, name, None)
        if value is not None:
            lines[f"train.{name}"] = _range(kind, value, 2.0)
    for name, kind, low, high in _RANGES:
        value = getattr(train, name, None)
        if value is not None and not (kind == "logit" and value in (0, 1)):
            lines[f"train.{name}"] = f"{kind} {min(low, value)} {max(high, value)}"
    return lines, config


def _range(kind: str, value: int, highest: float = _HIGHEST, most: float = math.inf) -> str:
    """Return a line around a value, in whole numbers of at least 1."""
    low = max(1, math.floor(value * _LOWEST))
    return f"{kind} {low} {max(value, min(most, math.ceil(value * highest)), 2 * low)}"
