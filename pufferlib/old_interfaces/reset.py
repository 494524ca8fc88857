"""Call a `reset` that may lack the arguments `seed` and `options`, and describe what it lacks."""

import inspect
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium

from pufferlib.annotations import Options, UserEnv


def has_old_reset(env: UserEnv) -> bool:
    """Return whether `reset` lacks `seed` or `options`, or takes `return_info`, since removed."""
    return bool(_missing_arguments(env.reset)) or "return_info" in parameters_of(env.reset)


def reset_differences(env: UserEnv) -> list[str]:
    """Return what is old about the arguments of `reset`, one text for each difference."""
    found = [f"reset takes no {name}" for name in _missing_arguments(env.reset)]
    is_seedable = callable(getattr(env, "seed", None)) or isinstance(env, gymnasium.Env)
    if "reset takes no seed" in found and not is_seedable:
        found[0] += ", so seeds have no effect"
    return found


def call_reset(env: UserEnv, seed: int | None, options: Options | None) -> Any:
    """Return the result of `env.reset`, called with the arguments that it takes.

    A seed that it does not take goes to `env.seed`, or to the `np_random` of a `gymnasium.Env`.
    Options that it does not take have no effect, with a warning.
    """
    missing = _missing_arguments(env.reset)
    if options and "options" in missing:
        warnings.warn(
            f"reset of {env} takes no options, so {options!r} has no effect. Leave it out, or add "
            f"the argument options to reset.",
            stacklevel=3,
        )
    if seed is not None and "seed" in missing:
        if callable(set_seed := getattr(env, "seed", None)):
            set_seed(seed)
        elif isinstance(env, gymnasium.Env):
            gymnasium.Env.reset(env.unwrapped, seed=seed)  # sets np_random and nothing else
    given = {"seed": seed, "options": options}
    return env.reset(**{name: value for name, value in given.items() if name not in missing})


def parameters_of(function: Any) -> Mapping[str, inspect.Parameter]:
    """Return the parameters of a function; *args and **kwargs if they cannot be read."""
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):  # not a function, or a compiled one
        return inspect.signature(lambda *args, **kwargs: None).parameters


def note(notes: list[str], text: str) -> None:
    """Append a text that is not among the notes yet."""
    if text not in notes:
        notes.append(text)


def _missing_arguments(reset: Callable[..., object]) -> list[str]:
    """Return which of `seed` and `options` a `reset` does not take by name."""
    parameters = parameters_of(reset)
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    return [] if takes_any else [name for name in ("seed", "options") if name not in parameters]
