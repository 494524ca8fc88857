"""Check the arguments of wrappers."""

import inspect

import gymnasium
import pettingzoo

from pufferlib.annotations import UserEnv
from pufferlib.exceptions import ArgumentError
from pufferlib.old_interfaces import adapted


def is_parallel_env(env: UserEnv, wrapper: str) -> bool:
    """Return True for a PettingZoo parallel environment, False for a Gymnasium environment.

    Raises:
        ArgumentError: if `env` is neither.
    """
    if isinstance(env, pettingzoo.ParallelEnv):
        return True
    if isinstance(env, gymnasium.Env):
        return False
    if isinstance(env, pettingzoo.AECEnv):
        advice = "Convert it with pettingzoo.utils.aec_to_parallel first."
    elif callable(env):
        advice = f"Make the environment first: {wrapper}({_name(env)}(...))."
    else:
        advice = "Wrap the environment before emulation."
    raise ArgumentError(
        f"{wrapper} takes a gymnasium.Env or a pettingzoo.ParallelEnv, got {described(env)}. "
        f"{advice}"
    )


def parallel_env(env: UserEnv, wrapper: str) -> UserEnv:
    """Return `env`, a PettingZoo environment, as a parallel one.

    Raises:
        ArgumentError: if `env` is not a PettingZoo environment, or has no `possible_agents`.
    """
    env = adapted(env)
    if isinstance(env, pettingzoo.AECEnv):
        env = pettingzoo.utils.aec_to_parallel(env)
    if not isinstance(env, pettingzoo.ParallelEnv):
        raise ArgumentError(
            f"{wrapper} takes a pettingzoo.ParallelEnv or AECEnv, got {described(env)}. A single "
            f"agent needs no team."
        )
    if not getattr(env, "possible_agents", None):
        raise ArgumentError(
            f"{env} has no possible_agents, so its teams are not known. Set it to every agent that "
            f"may take part, in a fixed order."
        )
    return env


def check_callable(given: object, name: str, expected: str) -> None:
    """Raise ArgumentError unless `given` can be called."""
    if not callable(given):
        raise ArgumentError(
            f"{name} must be {expected}, got {described(given)}. Pass the function."
        )


def described(given: object) -> str:
    """Return a description of `given` for error messages."""
    if inspect.isclass(given):
        return f"the class {_name(given)}"
    if inspect.isroutine(given):
        return f"the function {_name(given)}"
    return f"an instance of {type(given).__module__}.{type(given).__qualname__}"


def _name(given: object) -> str:
    return str(getattr(given, "__name__", type(given).__name__))
