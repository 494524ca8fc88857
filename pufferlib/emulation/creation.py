"""Create an environment from the arguments `env`, `env_creator`, `env_args` and `env_kwargs`."""

import inspect
from collections.abc import Mapping, Sequence

from pufferlib.annotations import EnvCreator, Kwargs, UserEnv
from pufferlib.exceptions import ArgumentError


def create(
    env: UserEnv,
    env_creator: EnvCreator | None,
    env_args: Sequence[object] | None,
    env_kwargs: Mapping[str, object] | None,
) -> UserEnv:
    """Return `env`, or the result of `env_creator(*env_args, **env_kwargs)`.

    Raises:
        ArgumentError: if both or neither are given, `env` is a class, arguments come without a
            creator, or `creator_arguments` refuses them.
    """
    if (env is None) == (env_creator is None):
        given = "neither" if env is None else "both"
        raise ArgumentError(
            f"Pass either env, an environment, or env_creator, a function or class that makes "
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
        raise ArgumentError(
            "env_args and env_kwargs apply to env_creator only, but env is already made. Leave "
            "them out, or pass env_creator."
        )
    return env


def creator_arguments(env_args: object, env_kwargs: object) -> tuple[tuple[object, ...], Kwargs]:
    """Return new positional and keyword arguments for a creator; None means no arguments.

    Raises:
        ArgumentError: if `env_args` is not a list, or `env_kwargs` not a dict with str keys.
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
            f"env_kwargs must be a dict of keyword arguments, got {env_kwargs!r}. Use a dict that "
            f"maps each argument's name to its value."
        )
    return tuple(env_args), dict(env_kwargs)
