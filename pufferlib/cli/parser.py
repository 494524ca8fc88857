"""The parser of every command line: a command's own options, and settings as dotted flags.

Settings are collected as text, by dotted name, in `arguments.overrides`. `pufferlib.runs.settings`
checks them and converts them to their types.
"""

import argparse
import ast
import functools
import inspect
import itertools
import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from pufferlib.exceptions import suggestion

if TYPE_CHECKING:
    from pufferlib.config import Config

ENV_HELP = (
    "an environment family or task (puffer envs), package.module:NAME, file.py:NAME, "
    "gymnasium:ID or pettingzoo:MODULE"
)
ENV_OR_ALL_HELP = f"{ENV_HELP}; or all: one task of each installed family"
_KWARGS = ("--env.kwargs.", "--policy.kwargs.")
_TRAIN = "puffer train"


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` with short errors; for an unknown flag it suggests the nearest."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, conflict_handler="resolve", **options)

    def error(self, message: str) -> NoReturn:
        """Exit with status 2."""
        self.exit(2, f"{self.prog}: {message}\nSee: {self.prog} --help\n")

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Return the arguments; an unknown flag is an error that suggests the nearest."""
        arguments, unknown = self.parse_known_args(args, namespace)
        flags = [word.partition("=")[0] for word in unknown if word.startswith("--")]
        if flags:
            known = [flag for action in self._actions for flag in action.option_strings]
            name = flags[0].removeprefix("--").replace("-", "_")
            if name in _renamed():
                self.error(f"{flags[0]} is now {_renamed()[name]}.")
            if _is_setting(flags[0]) and self.prog != _TRAIN:
                self.error(f"{flags[0]} has no effect here. It is a setting of {_TRAIN}.")
            self.error(f"there is no flag {flags[0]}.{suggestion(flags[0], known)}")
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return arguments


def _renamed() -> dict[str, str]:
    """Return what settings of earlier versions are named now."""
    from pufferlib.config import RENAMED

    return RENAMED


def _is_setting(flag: str) -> bool:
    """Return whether `flag` sets something in `puffer train`, whatever the algorithm."""
    from pufferlib.config import ALGORITHMS, Config
    from pufferlib.runs.settings import names_of

    name = flag.removeprefix("--").replace("-", "_").replace(".no_", ".")
    configs = [Config(train=algorithm()) for algorithm in ALGORITHMS.values()]
    return flag.startswith(_KWARGS) or any(name in names_of(config) for config in configs)


def normalized(words: Sequence[str]) -> list[str]:
    """Return the words of a command line as argparse reads them.

    `_` is replaced by `-` in the names of flags, except in `--env.kwargs.KEY` and
    `--policy.kwargs.KEY`. A negative number is joined to its flag, as `--flag=-1e-3`: argparse
    takes one with an exponent for a flag.
    """
    found: list[str] = []
    for word in words:
        name, equals, value = word.partition("=")
        if found and found[-1].startswith("--") and "=" not in found[-1] and _is_negative(word):
            found[-1] += f"={word}"
        elif name.startswith("--") and not name.startswith(_KWARGS):
            found.append(f"{name.replace('_', '-')}{equals}{value}")
        else:
            found.append(word)
    return found


def values_of(words: Sequence[str], flag: str) -> list[str]:
    """Return what follows each `flag` on a command line."""
    return [
        word.partition("=")[2] or following
        for word, following in itertools.pairwise([*words, ""])
        if word.partition("=")[0] == flag
    ]


def _is_negative(word: str) -> bool:
    """Return whether `word` is a number with a minus sign."""
    try:
        float(word)
    except ValueError:
        return False
    return word.startswith("-")


class _Override(argparse.Action):
    """Collects the text of a setting by its dotted name; `const` for a flag without a value."""

    def __init__(self, *arguments: Any, name: str, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._name = name

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: Any = None) -> None:
        value = self.const if self.nargs == 0 else values
        namespace.overrides = {**namespace.overrides, self._name: value}


def add_settings(
    parser: Parser, words: Sequence[str], names: Iterable[str], config: "Config"
) -> None:
    """Add flags for settings, in a group for each table.

    Args:
        parser: gets the flags.
        words: of the command line. The keys of env.kwargs and policy.kwargs are free: each key
            that occurs in `words` gets a flag.
        names: of the settings, dotted.
        config: its values are shown as defaults in the help.
    """
    if parser.get_default("overrides") is None:
        parser.set_defaults(overrides={})
    groups: dict[str, Any] = {}
    for name in names:
        table, _, key = name.rpartition(".")
        if table not in groups:
            groups[table] = parser.add_argument_group(table or "run")
        if key == "kwargs":
            what = "environment" if name.startswith("env") else "policy"
            text = f"an argument of the {what}: a Python literal, true, false, or text"
            add_free_keys(groups[table], words, name, text)
        else:
            _add_setting(groups[table], name, config)


def add_free_keys(group: Any, words: Sequence[str], name: str, text: str) -> None:
    """Add a flag for each word `--NAME.KEY`, whatever the key; the help shows one with `text`."""
    prefix = f"--{name}."
    group.add_argument(f"{prefix}KEY", name="", action=_Override, metavar="VALUE", help=text)
    for flag in {word.partition("=")[0] for word in words if word.startswith(prefix)}:
        own = flag[2:].replace("-", "_")
        group.add_argument(flag, name=own, action=_Override, help=argparse.SUPPRESS)


def _add_setting(group: Any, name: str, config: "Config") -> None:
    from pufferlib.config.presets import type_name
    from pufferlib.runs.settings import find_setting

    setting = find_setting(name, config)
    flag = f"--{name.replace('_', '-')}"
    doc = " ".join(field_docs(setting.owner).get(name.rpartition(".")[2], "").split())
    text = f"{doc} (default: {setting.value})".replace("%", "%%")
    if setting.annotation in (bool, bool | None):
        table, _, key = flag[2:].rpartition(".")
        options = {"name": name, "action": _Override, "nargs": 0}
        group.add_argument(flag, const=True, help=text, **options)
        group.add_argument(f"--{table}.no-{key}", const=False, help=argparse.SUPPRESS, **options)
    else:
        metavar = type_name(setting.annotation).replace("'", "").replace(" or ", "|")
        group.add_argument(flag, name=name, action=_Override, metavar=metavar, help=text)


@functools.cache
def field_docs(owner: type) -> dict[str, str]:
    """Return the documentation of a dataclass's fields, by name: the strings below them."""
    docs: dict[str, str] = {}
    for cls in reversed(owner.__mro__[:-1]):
        try:
            source = textwrap.dedent(inspect.getsource(cls))
        except (OSError, TypeError):  # a class made at run time has no source
            continue
        body = ast.parse(source).body[0].body  # type: ignore[attr-defined]
        for field, text in itertools.pairwise(body):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(text, ast.Expr)
                and isinstance(text.value, ast.Constant)
            ):
                docs[field.target.id] = str(text.value.value)
    return docs
