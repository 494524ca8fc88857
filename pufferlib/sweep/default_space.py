"""The space of a task whose preset has none: what matters most to PPO, around the preset."""

import math

from pufferlib.config import Config
from pufferlib.runs.settings import names_of

_LOWEST, _HIGHEST = 0.25, 4.0  # times the preset's value


def default_space(config: Config, rows: int, is_recurrent: bool) -> tuple[dict[str, str], Config]:
    """Return the lines of a space around the settings of a preset, and these settings.

    Settings that the preset leaves open, such as the number of minibatches, have in the second the
    value that the preset comes to.

    Args:
        config: the settings.
        rows: agents of all environments.
        is_recurrent: whether the policy has a memory.
    """
    import dataclasses

    names = set(names_of(config))
    train = config.train
    minibatches_of = getattr(train, "minibatches_of", None)
    if minibatches_of is not None and getattr(train, "minibatches", 0) is None:
        settled = minibatches_of(rows, is_recurrent)
        train = dataclasses.replace(train, **{"minibatches": settled})
        config = dataclasses.replace(config, train=train)
    lines = {"train.total_timesteps": _range("log", train.total_timesteps, 1.0)}
    lines["train.horizon"] = _range("power2", train.horizon)
    lines["policy.hidden_size"] = _range("power2", config.policy.hidden_size, most=1024)
    if config.vec.num_workers is None and config.vec.batch_size is None:
        lines["vec.num_envs"] = _range("power2", config.vec.num_envs)
    found = {name: getattr(train, name, None) for name in ("gamma", "gae_lambda")}
    for name, low, high in (("gamma", 0.9, 0.999), ("gae_lambda", 0.8, 0.99)):
        value = found[name]
        if value is not None and 0 < value < 1:
            lines[f"train.{name}"] = f"logit {min(low, value)} {max(high, value)}"
    for name, text in (
        ("learning_rate", _around(train, "learning_rate", "log", 1e-4, 1e-2)),
        ("entropy_coefficient", _around(train, "entropy_coefficient", "uniform", 0.0, 0.03)),
        ("update_epochs", _around(train, "update_epochs", "log", 1, 20)),
        ("minibatches", _around(train, "minibatches", "power2", 1, 32)),
    ):
        if text is not None:
            lines[f"train.{name}"] = text
    return {name: line for name, line in lines.items() if name in names}, config


def _range(kind: str, value: int, highest: float = _HIGHEST, most: float = math.inf) -> str:
    """Return a line around a value, in whole numbers of at least 1."""
    low = max(1, math.floor(value * _LOWEST))
    return f"{kind} {low} {max(value, min(most, math.ceil(value * highest)), 2 * low)}"


def _around(train: object, name: str, kind: str, low: float, high: float) -> str | None:
    """Return a line from `low` to `high`, widened to the setting's value; None without a value."""
    value = getattr(train, name, None)
    if value is None:
        return None
    return f"{kind} {min(low, value)} {max(high, value)}"
