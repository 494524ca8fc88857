"""Flags `--env.kwargs.KEY VALUE` for arguments that no preset lists.

tyro makes flags of the keys that a preset has; those of all others are read here, and True and
False, for which tyro has `--env.kwargs.KEY` and `--env.kwargs.no-KEY`.
"""

import ast
from collections.abc import Mapping, Sequence
from typing import Any

from pufferlib.exceptions import SettingError

_PREFIX = "--env.kwargs."


def take_env_kwargs(
    flags: Sequence[str], known: Mapping[str, Any]
) -> tuple[list[str], dict[str, Any]]:
    """Return the flags that are left, and the arguments that are read here, by key.

    `known` has the values that a preset gives. A value is read as a Python literal, and is a string
    where it is none.

    Raises:
        SettingError: a flag without a value, or a key that is no name.
    """
    left: list[str] = []
    kwargs: dict[str, Any] = {}
    remaining = list(flags)
    while remaining:
        flag = remaining.pop(0)
        name, equals, value = flag.partition("=")
        key = name.removeprefix(_PREFIX).replace("-", "_")
        of_no = key.removeprefix("no_")
        word = value if equals else next(iter(remaining), "")
        is_word = isinstance(known.get(key), bool) and word in ("True", "False")
        is_known = key.partition(".")[0] in known or isinstance(known.get(of_no), bool)
        if not name.startswith(_PREFIX) or (is_known and not is_word):
            left.append(flag)
            continue
        if not key.isidentifier():
            raise SettingError(
                f"{name} names no argument: {key!r} is no Python name. Use {_PREFIX}KEY VALUE."
            )
        if not equals:
            value = remaining.pop(0) if remaining else "--"
            if value.startswith("--"):
                raise SettingError(f"{name} has no value. Use {_PREFIX}KEY VALUE.")
        kwargs[key] = _literal(value)
    return left, kwargs


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError):
        return text
