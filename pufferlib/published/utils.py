"""Published helpers that training scripts of 1.0 call."""

import functools
import importlib
import inspect
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ParamSpec, TypeVar

from pufferlib.exceptions import ArgumentError
from pufferlib.wrappers.silencing import silent

Suppress = silent

P = ParamSpec("P")
R = TypeVar("R")

__all__ = [
    "Profiler",
    "Suppress",
    "get_init_args",
    "install_and_import",
    "profile",
    "unroll_nested_dict",
    "validate_args",
]


class Profiler:
    """Add up the time spent in `with profiler:`, in seconds."""

    def __init__(self) -> None:
        self.elapsed, self.calls = 0.0, 0

    def __enter__(self) -> "Profiler":
        self._start = time.perf_counter()
        return self

    def __exit__(self, *exception: object) -> None:
        self.elapsed += time.perf_counter() - self._start
        self.calls += 1


def profile(func: Callable[P, R]) -> Callable[P, R]:
    """Return `func`, timed in `_timers[name]` of its first argument."""

    @functools.wraps(func)
    def timed(*args: P.args, **kwargs: P.kwargs) -> R:
        owner: Any = args[0]
        if not hasattr(owner, "_timers"):
            owner._timers = {}
        with owner._timers.setdefault(func.__name__, Profiler()):
            return func(*args, **kwargs)

    return timed


def unroll_nested_dict(d: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the items of nested dicts, with keys joined by "/"."""
    for key, value in d.items():
        if isinstance(value, Mapping):
            for inner, part in unroll_nested_dict(value):
                yield f"{key}/{inner}", part
        else:
            yield key, value


def get_init_args(fn: Callable[..., object] | None) -> dict[str, Any]:
    """Return the parameters of `fn` and their defaults, without self, env, policy, * and **."""
    if fn is None:
        return {}
    if isinstance(fn, functools.partial):
        return dict(fn.keywords)
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return {
        each.name: None if each.default is each.empty else each.default
        for each in inspect.signature(fn).parameters.values()
        if each.name not in ("self", "env", "policy") and each.kind not in variable
    }


def validate_args(fn: Callable[..., object], kwargs: Mapping[str, object]) -> None:
    """Refuse keyword arguments that `fn` does not take.

    Raises:
        ArgumentError: names the arguments that there are.
    """
    allowed = get_init_args(fn)
    for name in kwargs:
        if name not in allowed:
            raise ArgumentError(f"{fn} takes no argument {name!r}. Arguments: {list(allowed)}.")


def install_and_import(package: str) -> Any:
    """Return the module `package`. It installs nothing: `puffer install` does."""
    return importlib.import_module(package)
