"""The space of a sweep: which settings are searched, and on which scale.

A setting's part of the space is one line, in a preset and on the command line alike:

    [sweep.space]
    train.learning_rate = "log 1e-4 1e-2"
    train.update_epochs = "integer 1 10"
    train.horizon = "power2 8 128"
    train.gamma = "logit 0.9 0.999"
    train.entropy_coefficient = "uniform 0 0.05"
    policy.memory = "choices none lstm"
    policy.hidden_size = "power2 32 256 if policy.memory = lstm"
"""

import ast
import dataclasses
import graphlib
import math
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import NoneType
from typing import Any

from pufferlib.config import Config
from pufferlib.exceptions import SettingError, suggestion
from pufferlib.runs.settings import find_setting, parse
from pufferlib.sweep.dimension import KINDS, Condition, Dimension, Value

FIXED = "fixed"
_KWARGS = ("env.kwargs.", "policy.kwargs.")
# Each trial needs its own, or they are not settings of one run's training.
_NOT_SEARCHED = {
    "run": "every trial has its own folder",
    "algorithm": "algorithms have different settings; make a sweep of each with --algorithm",
    "train.seed": "trials have their own seeds; see --sweep.seeds",
    "train.checkpoint_interval": "it changes nothing that is learned",
}
_UNLEARNED = ("log.", "eval.")


@dataclass(frozen=True)
class Space:
    """All dimensions of a sweep; a condition's setting comes before what depends on it."""

    dimensions: tuple[Dimension, ...]

    @classmethod
    def parse(cls, lines: Mapping[str, object], config: Config, source: str) -> "Space":
        """Return the space that lines describe, by the name of the setting.

        Args:
            lines: "log 1e-4 1e-2", or a list of choices.
            config: the settings of the preset, each of which must lie in its range.
            source: where the lines come from, for errors.

        Raises:
            SettingError: says which setting or line is wrong, and what is allowed.
        """
        found: dict[str, Dimension] = {}
        for name, line in lines.items():
            if line != FIXED:
                found[name] = _parse_line(name, line, config, source)
        found = _with_searched_conditions(found, config)
        if not found:
            raise SettingError(
                f"{source}: no setting is searched. Add one: --sweep.space.train.learning-rate "
                f"'log 1e-4 1e-2'"
            )
        space = cls(_ordered(found, source))
        for dimension in space.active(space.values(config)):
            value = value_at(dimension.setting, config)
            if not dimension.contains(value):
                raise SettingError(
                    f"{source}: the space of {dimension.setting} is {dimension.text!r}, and the "
                    f"preset's value {value!r} lies outside of it. The preset is trial 0: widen "
                    f"the space, or set --{dimension.setting.replace('_', '-')}."
                )
        return space

    def values(self, config: Config) -> dict[str, Value]:
        """Return the values that some settings have, those of this space."""
        return {each.setting: value_at(each.setting, config) for each in self.dimensions}

    def __iter__(self) -> Iterator[Dimension]:
        return iter(self.dimensions)

    def active(self, values: Mapping[str, Value]) -> Iterator[Dimension]:
        """Yield the dimensions whose condition holds; `values` may grow in the meantime."""
        for dimension in self.dimensions:
            if dimension.condition is None:
                yield dimension
                continue
            setting, allowed = dimension.condition
            if setting in values and values[setting] in allowed:
                yield dimension

    def lines(self) -> dict[str, str]:
        """Return the text of each dimension, by setting."""
        return {dimension.setting: dimension.text for dimension in self.dimensions}


def setting_of(parameter: str) -> str:
    """Return the setting that a parameter of the study is about.

    >>> setting_of("log2(train.horizon)"), setting_of("1 - train.gamma"), setting_of("vec.num_envs")
    ('train.horizon', 'train.gamma', 'vec.num_envs')
    """
    return parameter.removeprefix("log2(").removesuffix(")").removeprefix("1 - ")


def value_at(name: str, config: Config) -> Any:
    """Return the value of a setting; None for an argument of env.kwargs that has none."""
    prefix = next((prefix for prefix in _KWARGS if name.startswith(prefix)), None)
    if prefix is None:
        return find_setting(name, config).value
    value: Any = getattr(config, prefix.partition(".")[0]).kwargs
    for key in name.removeprefix(prefix).split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _parse_line(name: str, line: object, config: Config, source: str) -> Dimension:
    where = f"{source}: the space of {name}"
    if name in _NOT_SEARCHED or name.startswith(_UNLEARNED):
        reason = _NOT_SEARCHED.get(name, "it changes nothing that is learned")
        raise SettingError(f"{source}: {name} cannot be searched: {reason}.")
    value_at(name, config)  # an unknown setting is refused here
    if isinstance(line, (list, tuple)):
        line = "choices " + " ".join(map(str, line))
    if not isinstance(line, str):
        raise SettingError(f"{where} must be text or a list of values; got {line!r}.")
    text, _, condition = line.partition(" if ")
    kind, *words = text.split() or [""]
    if kind not in KINDS:
        allowed = ", ".join(f"{kind} {arguments}" for kind, arguments in KINDS.items())
        raise SettingError(
            f"{where} must be one of: {allowed}, or {FIXED}; got {line!r}.{suggestion(kind, KINDS)}"
        )
    parsed = None if not condition else _parse_condition(where, condition, config)
    if kind == "choices":
        choices = tuple(_typed(where, name, word, config) for word in words)
        if len(set(map(repr, choices))) < max(2, len(choices)):
            raise SettingError(f"{where} needs two or more different choices; got {line!r}.")
        dimension = Dimension(name, kind, math.nan, math.nan, choices, False, parsed, line)
    else:
        dimension = _parse_range(where, name, kind, words, line, parsed, config)
    return dimension


def _parse_range(
    where: str,
    name: str,
    kind: str,
    words: list[str],
    line: str,
    condition: Condition | None,
    config: Config,
) -> Dimension:
    try:
        low, high = (float(word) for word in words)
    except ValueError:
        raise SettingError(f"{where} must be {kind} {KINDS[kind]}; got {line!r}.") from None
    types = _types(name, config)
    is_integer = kind in ("integer", "power2") or (int in types and float not in types)
    if types and not {int, float} & types:
        raise SettingError(f"{where} must be choices VALUE ..., as it is no number; got {line!r}.")
    if kind == "integer" and float in types:
        raise SettingError(f"{where} must be uniform or log, for it is no integer; got {line!r}.")
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise SettingError(f"{where} needs LOW < HIGH; got {line!r}.")
    if is_integer and not (low.is_integer() and high.is_integer()):
        raise SettingError(f"{where} needs whole numbers; got {line!r}.")
    if kind in ("log", "power2") and low <= 0:
        raise SettingError(f"{where} needs LOW above 0 on a logarithmic scale; got {line!r}.")
    if kind == "logit" and (is_integer or not 0 <= low < high < 1):
        raise SettingError(f"{where} needs 0 <= LOW < HIGH < 1; got {line!r}.")
    dimension = Dimension(name, kind, low, high, (), is_integer, condition, line)
    if kind == "power2" and dimension.exponents[0] >= dimension.exponents[1]:
        raise SettingError(f"{where} needs two powers of two in its range; got {line!r}.")
    return dimension


def _parse_condition(where: str, text: str, config: Config) -> Condition:
    setting, equals, values = (part.strip() for part in text.partition("="))
    if not equals or not values:
        raise SettingError(f"{where}: a condition is: if SETTING = VALUE ...; got 'if {text}'.")
    return setting, tuple(_typed(where, setting, word, config) for word in values.split())


def _typed(where: str, name: str, word: str, config: Config) -> Value:
    """Return a word in the type of a setting."""
    if name.startswith(_KWARGS):
        try:
            value = ast.literal_eval(word)
        except (ValueError, SyntaxError):
            value = word
    else:
        try:
            value = parse(name, word, find_setting(name, config).annotation)
        except SettingError as error:
            raise SettingError(f"{where}: {error}") from error
    if not isinstance(value, bool | int | float | str | None):
        raise SettingError(f"{where}: a choice must be a number or a word; got {word!r}.")
    return value


def _types(name: str, config: Config) -> set[type]:
    """Return the types of a setting without None; of an argument, the type that it has."""
    if name.startswith(_KWARGS):
        value = value_at(name, config)
        return set() if value is None else {type(value)}
    annotation = find_setting(name, config).annotation
    parts = typing.get_args(annotation) or (annotation,)
    return {part for part in parts if part is not NoneType}


def _with_searched_conditions(
    found: Mapping[str, Dimension], config: Config
) -> dict[str, Dimension]:
    """Return the dimensions without conditions on settings that all trials have from the preset.

    Where such a condition never holds, the dimension is left out.
    """
    kept = dict(found)
    while True:
        settled = {
            name: dimension
            for name, dimension in kept.items()
            if dimension.condition is not None and dimension.condition[0] not in kept
        }
        if not settled:
            return kept
        for name, dimension in settled.items():
            setting, values = dimension.condition or ("", ())
            if value_at(setting, config) in values:
                text = dimension.text.partition(" if ")[0]
                kept[name] = dataclasses.replace(dimension, condition=None, text=text)
            else:
                del kept[name]


def _ordered(found: Mapping[str, Dimension], source: str) -> tuple[Dimension, ...]:
    """Return the dimensions in the order in which they can be chosen."""
    graph: dict[str, list[str]] = {name: [] for name in found}
    for name, dimension in found.items():
        if dimension.condition is None:
            continue
        setting, values = dimension.condition
        if not all(map(found[setting].contains, values)):
            raise SettingError(
                f"{source}: the space of {name} depends on {setting} = "
                f"{' '.join(map(str, values))}, which no trial has. Search {setting} with these "
                f"choices, or leave the condition out."
            )
        graph[name].append(setting)
    try:
        order = tuple(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as error:
        raise SettingError(
            f"{source}: the conditions of {' and '.join(error.args[1][1:])} depend on each other."
        ) from error
    return tuple(found[name] for name in order)
