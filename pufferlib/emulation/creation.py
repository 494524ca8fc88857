"""The one environment meant by `env`, `env_creator`, `env_args` and `env_kwargs`."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pufferlib.exceptions import ArgumentError


def create(
    env: Any,
    env_creator: Callable[..., Any] | None,
    env_args: Sequence[Any] | None,
    env_kwargs: Mapping[str, Any] | None,
) -> Any:
    """Return `env`, or what `env_creator(*env_args, **env_kwargs)` returns.

    Raises:
        ArgumentError: both or neither given, a class given as `env`, arguments without a creator,
            or arguments that `creator_arguments` refuses.
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
        args, kwargs = creator_arguments(env_args, env_kwargs)
        return env_creator(*args, **kwargs)
    if inspect.isclass(env) or inspect.isroutine(env):
        raise ArgumentError(
            f"env must be an environment, got the {'class' if inspect.isclass(env) else 'function'}"
            f" {env.__name__}. Pass it as env_creator={env.__name__}."
        )
    if env_args or env_kwargs:
        raise ArgumentError("env_args and env_kwargs go with env_creator; env is already made.")
    return env


def creator_arguments(env_args: Any, env_kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the positional and keyword arguments for one creator, new; None is none.

    Raises:
        ArgumentError: `env_args` is no list, or `env_kwargs` no dict by name.
    """
    if env_args is None:
        env_args = ()
    if isinstance(env_args, Mapping):
        raise ArgumentError(
            f"env_args must be a list of arguments, got {env_args!r}. Pass a dict as env_kwargs."
        )
    if isinstance(env_args, (str, bytes)) or not isinstance(env_args, Sequence):
        raise ArgumentError(
            f"env_args must be a list of arguments, got {env_args!r}. Use [{env_args!r}]."
        )
    if env_kwargs is None:
        env_kwargs = {}
    if not isinstance(env_kwargs, Mapping) or not all(isinstance(name, str) for name in env_kwargs):
        raise ArgumentError(
            f"env_kwargs must be a dict of keyword arguments, got {env_kwargs!r}. Use a dict from "
            f"each argument's name to its value."
        )
    return tuple(env_args), dict(env_kwargs)
