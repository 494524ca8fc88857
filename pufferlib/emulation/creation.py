"""The one environment meant by `env`, `env_creator`, `env_args` and `env_kwargs`."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pufferlib.exceptions import ArgumentError


def create(
    env: Any,
    env_creator: Callable[..., Any] | None,
    env_args: Sequence[Any],
    env_kwargs: Mapping[str, Any] | None,
) -> Any:
    """Return `env`, or what `env_creator(*env_args, **env_kwargs)` returns.

    Raises:
        ArgumentError: both or neither given, a class given as `env`, arguments without a creator.
    """
    if (env is None) == (env_creator is None):
        given = "neither" if env is None else "both"
        raise ArgumentError(
            f"Give either env, an environment, or env_creator, a function or class that makes "
            f"one; got {given}."
        )
    if env_creator is not None:
        if not callable(env_creator):
            raise ArgumentError(
                f"env_creator must be a function or class, got an instance of "
                f"{type(env_creator).__name__}. Pass it as env=."
            )
        return env_creator(*env_args, **(env_kwargs or {}))
    if inspect.isclass(env) or inspect.isroutine(env):
        raise ArgumentError(
            f"env must be an environment, got the {'class' if inspect.isclass(env) else 'function'}"
            f" {env.__name__}. Pass it as env_creator={env.__name__}."
        )
    if env_args or env_kwargs:
        raise ArgumentError("env_args and env_kwargs go with env_creator; env is already made.")
    return env
