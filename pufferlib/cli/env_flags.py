"""Flags `--env.kwargs.KEY VALUE` for arguments that no preset lists.

tyro makes flags of the keys that a preset has; those of all others are read here.
"""

import ast
from collections.abc import Container, Sequence
from typing import Any

from pufferlib.exceptions import SettingError

_PREFIX = "--env.kwargs."


def take_env_kwargs(
    flags: Sequence[str], known: Container[str]
) -> tuple[list[str], dict[str, Any]]:
    """Return the flags that are left, and the arguments whose keys are not `known`, by key.

    A value is read as a Python literal, and is a string where it is none.

    Raises:
        SettingError: a flag without a value, or a key that is no name.
    """
    left: list[str] = []
    kwargs: dict[str, Any] = {}
    remaining = iter(flags)
    for flag in remaining:
        name, equals, value = flag.partition("=")
        key = name.removeprefix(_PREFIX).replace("-", "_")
        if not name.startswith(_PREFIX) or key.partition(".")[0] in known:
            left.append(flag)
            continue
        if not key.isidentifier():
            raise SettingError(
                f"{name} names no argument: {key!r} is no Python name. Use {_PREFIX}KEY VALUE."
            )
        if not equals:
            value = next(remaining, "--")
            if value.startswith("--"):
                raise SettingError(f"{name} has no value. Use {_PREFIX}KEY VALUE.")
        kwargs[key] = _literal(value)
    return left, kwargs


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
