"""Flags `--env.kwargs.KEY VALUE` for arguments that no preset lists.

tyro makes flags of the keys that a preset, or a run, has. Those of all others are read here. So
are, whatever the key, the values that tyro has no word for: None; True and False, for which it has
`--env.kwargs.KEY` and `--env.kwargs.no-KEY`; lists and dicts as Python writes them; and all that
takes the place of a None.
"""

import ast
from collections.abc import Mapping, Sequence
from types import NoneType
from typing import Any

from pufferlib.exceptions import SettingError

_PREFIX = "--env.kwargs."


def take_env_kwargs(
    flags: Sequence[str], known: Mapping[str, Any]
) -> tuple[list[str], dict[str, Any]]:
    """Return the flags that are left, and the arguments that are read here, by key.

    `known` has the values that a preset, or a run, gives. A value is read as a Python literal, and
    is a string where it is none.

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
        is_ours = key in known and _is_read_here(known[key], word)
        is_known = key.partition(".")[0] in known or isinstance(known.get(of_no), bool)
        if not name.startswith(_PREFIX) or (is_known and not is_ours):
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


def _is_read_here(before: Any, word: str) -> bool:
    """Tell whether `word` is no value for tyro, given the one that a preset or a run has."""
    if isinstance(before, bool):
        return word in ("True", "False", "None")
    if isinstance(before, list):  # tyro takes its parts as words: --env.kwargs.size 40 60
        return word == "None" or isinstance(_literal(word), (list, tuple, dict))
    return word == "None" or isinstance(before, (dict, NoneType))


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError):
        return text
