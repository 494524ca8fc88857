"""From the name of an environment and overrides to all settings of a run."""

import ast
import dataclasses
import typing
from collections.abc import Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, NamedTuple

import numpy as np

from pufferlib import config as presets
from pufferlib.annotations import Kwargs
from pufferlib.config import Config, PolicyConfig, VecConfig
from pufferlib.config.presets import allowed
from pufferlib.config.settings import with_lists
from pufferlib.exceptions import ArgumentError, SettingError, suggestion
from pufferlib.references import Reference, is_reference
from pufferlib.registry import EnvSource, same_source
from pufferlib.selfplay.config import with_names
from pufferlib.vector.options import WorkerOptions

# By dotted name: {"train.learning_rate": 1e-3, "env.kwargs.size": 5}
Overrides = Mapping[str, object]

_KWARGS = ("env.kwargs.", "policy.kwargs.")
_IGNORED = {"Serial": WorkerOptions.names(), "Ray": ("start_method", "caller_steps")}  # of [vec]


def assemble(
    source: EnvSource,
    overrides: Overrides,
    base: Config | None = None,
    policy: PolicyConfig | None = None,
) -> Config:
    """Return the settings of a run: presets, or `base`, with `overrides` on top.

    Args:
        source: the environment.
        overrides: by dotted name. A value is text, as on a command line, or has the setting's type.
        base: the settings of the run to resume or evaluate; None: defaults and presets.
        policy: settings of the policy in place of those of presets; None: those of presets.

    Raises:
        ArgumentError: `base` is of another environment.
        SettingError: there is no such setting, its value does not fit, or it has no effect here.
    """
    if base is None:
        algorithm = overrides.get("algorithm")
        algorithm = None if algorithm is None else located(parse("algorithm", algorithm, str))
        folders = (presets.PRESETS, *source.preset_folders)
        config = presets.load(source.preset_names, folders, algorithm)
    else:
        if not same_source(base.env.task, source.name):
            raise ArgumentError(
                f"The run was made with {base.env.task}, the environment given is {source.name}. "
                f"Name {base.env.task}, or another run."
            )
        config = base
    config = _replace(config, "env.task", source.name)
    if policy is not None:
        config = dataclasses.replace(config, policy=policy)
    for name, value in overrides.items():
        config = _override(config, name, value)
    if config.policy.name is not None:
        config = _replace(config, "policy.name", located(config.policy.name))
    if config.env.curriculum is not None:
        config = _replace(config, "env.curriculum", located(config.env.curriculum))
    if config.selfplay.is_on:
        opponents = with_names(config.selfplay.opponents, located)
        config = _replace(config, "selfplay.opponents", opponents)
    _check_effects(config, overrides)
    return config


def located(name: str) -> str:
    """Return `name` with an absolute path if it names a file: runs are opened from any folder."""
    return Reference.parse(name).name if is_reference(name) else name


def _override(config: Config, name: str, value: object) -> Config:
    """Return `config` with the setting `name` changed to `value`."""
    prefix = next((prefix for prefix in _KWARGS if name.startswith(prefix)), None)
    if prefix is not None:
        return _with_argument(config, prefix, name.removeprefix(prefix).split("."), value)
    if name == "algorithm":
        if located(parse(name, value, str)) != config.algorithm:
            raise SettingError(
                f"algorithm cannot change within a run; got {value!r}, the run uses "
                f"{config.algorithm!r}. Start a new run."
            )
        return config
    return _replace(config, name, parse(name, value, find_setting(name, config).annotation))


class Setting(NamedTuple):
    """One setting of a run.

    Attributes:
        owner: the dataclass that defines the setting.
        annotation: the setting's type.
        value: the setting's value in the run.
    """

    owner: type
    annotation: Any
    value: object


def find_setting(name: str, config: Config) -> Setting:
    """Return the setting with a dotted name.

    Raises:
        SettingError: there is no such setting; suggests the nearest names.
    """
    if name not in names_of(config):
        _refuse_unknown(name, config)
    settings: Any = config
    *tables, key = name.split(".")
    for table in tables:
        settings = getattr(settings, table)
    owner = type(settings)
    return Setting(owner, typing.get_type_hints(owner)[key], getattr(settings, key))


def names_of(settings: Any, prefix: str = "") -> list[str]:
    """Return the dotted names of all settings that can be overridden."""
    names: list[str] = []
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if dataclasses.is_dataclass(value):
            names += names_of(value, f"{prefix}{field.name}.")
        elif prefix + field.name != "env.task":
            names.append(prefix + field.name)
    return names


def _refuse_unknown(name: str, config: Config) -> typing.NoReturn:
    if name in presets.RENAMED:
        raise SettingError(f"The setting {name} is now {presets.RENAMED[name]}.")
    if name == "env.task":
        raise SettingError("env.task is the name of the environment; it is not an override.")
    table, _, key = name.rpartition(".")
    owners = [
        other.algorithm
        for other in presets.ALGORITHMS.values()
        if table == "train" and key in {field.name for field in dataclasses.fields(other)}
    ]
    if owners:
        raise SettingError(
            f"{name} has no effect: it is a setting of {' and '.join(owners)}, and "
            f"this run uses {config.algorithm}. Leave it out, or use --algorithm {owners[0]}."
        )
    known = names_of(config)
    raise SettingError(
        f"There is no setting {name!r}.{suggestion(name, known)} List them with: puffer train ENV "
        f"--help"
    )


def parse(name: str, value: object, annotation: Any) -> Any:
    """Return `value` in the type of a setting.

    Args:
        name: of the setting, for the error.
        value: text as on a command line, or a value of the type.
        annotation: the type.

    Raises:
        SettingError: `value` does not fit; says what does.
    """
    value = _plain(value)
    for part in _alternatives(annotation):
        found = _parsed(value, part)
        if found is not None or (part is NoneType and value in (None, "None")):
            return found
    raise SettingError(f"{name} must be {allowed(annotation)}; got {value!r}.")


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    if typing.get_origin(annotation) in (UnionType, typing.Union):
        parts = typing.get_args(annotation)
        return (*(part for part in parts if part is NoneType), *parts)  # "None" is not a string
    return (annotation,)


def _parsed(value: object, annotation: Any) -> Any:
    """Return `value` as `annotation`; None if it does not fit."""
    if typing.get_origin(annotation) is Literal:
        return value if value in typing.get_args(annotation) else None
    if annotation is bool:
        if isinstance(value, str):
            return {"True": True, "true": True, "False": False, "false": False}.get(value)
        return value if isinstance(value, bool) else None
    if isinstance(value, bool):
        return None
    if annotation is int:
        return _number(value, int)
    if annotation is float:
        return _number(value, float)
    if annotation is Path:
        return Path(value) if isinstance(value, (str, Path)) else None
    kind = typing.get_origin(annotation) or annotation
    if kind in (dict, list) and isinstance(value, str):
        value = _literal(value)
    return value if isinstance(value, kind) else None


def _number(value: object, kind: type) -> Any:
    if isinstance(value, str):
        try:
            return kind(value)
        except ValueError:
            return None
    if kind is float and isinstance(value, int):
        return float(value)
    return value if isinstance(value, kind) else None


def _with_argument(config: Config, prefix: str, keys: list[str], value: object) -> Config:
    """Return `config` with one argument of the environment or the policy changed."""
    name = prefix + ".".join(keys)
    for key in keys:
        if not key.isidentifier():
            raise SettingError(
                f"{name} cannot be the name of an argument: {key!r} is not a Python identifier. "
                f"Use --{prefix}KEY VALUE."
            )
    table = prefix.partition(".")[0]
    settings = getattr(config, table)
    kwargs = _nested(dict(settings.kwargs), keys, value)
    settings = dataclasses.replace(settings, kwargs=kwargs)
    return dataclasses.replace(config, **{table: settings})


def _nested(values: Mapping[str, object], keys: list[str], value: object) -> Kwargs:
    key, *rest = keys
    before = values.get(key)
    if rest:
        value = _nested(before if isinstance(before, Mapping) else {}, rest, value)
    elif isinstance(value, str) and not (isinstance(before, str) and value != "None"):
        value = _literal(value)  # but text replaces text, also where it reads like a number
    return {**values, key: with_lists(_plain(value))}


def _plain(value: object) -> object:
    """Return a NumPy scalar as Python's own number."""
    return value.item() if isinstance(value, np.generic) else value


def _literal(text: str) -> Any:
    """Return a Python literal (a number, True, None, a list, ...), or else the text itself.

    true and false, as presets write them, are no text either.
    """
    try:
        return ast.literal_eval({"true": "True", "false": "False"}.get(text, text))
    except (ValueError, TypeError, SyntaxError):
        return text


def _replace(settings: Any, name: str, value: object) -> Any:
    key, _, rest = name.partition(".")
    if rest:
        value = _replace(getattr(settings, key), rest, value)
    return dataclasses.replace(settings, **{key: value})


def _check_effects(config: Config, overrides: Overrides) -> None:
    """Refuse overrides that would change nothing.

    Raises:
        SettingError: says which, and what to do.
    """
    defaults = VecConfig()
    for key in _IGNORED.get(config.vec.backend, ()):
        if f"vec.{key}" in overrides and getattr(config.vec, key) != getattr(defaults, key):
            raise SettingError(
                f"vec.{key} has no effect with vec.backend {config.vec.backend!r}. Leave it out, "
                f"or add --vec.backend Multiprocessing."
            )
    if "vec.max_restarts" in overrides and config.vec.on_failure != "restart":
        raise SettingError(
            "vec.max_restarts has no effect with vec.on_failure 'raise'. Leave it out, or add "
            "--vec.on-failure restart."
        )
    if (
        getattr(config.train, "kl_adaptive", None) is not None
        and overrides.get("train.anneal_learning_rate")
        and getattr(config.train, "anneal_learning_rate", False)
    ):
        raise SettingError(
            "train.anneal_learning_rate has no effect with train.kl_adaptive, which sets the "
            "learning rate after each update. Leave out one of them."
        )
    if not config.selfplay.is_on:
        for name in overrides:
            if name.startswith("selfplay.") and name != "selfplay.opponents":
                raise SettingError(
                    f"{name} has no effect with selfplay.opponents none, with which the policy "
                    f"plays all sides. Leave it out, or name opponents, as --selfplay.opponents "
                    f"uniform."
                )
    elif "selfplay.pool_size" in overrides and not config.selfplay.uses_pool:
        raise SettingError(
            f"selfplay.pool_size has no effect with selfplay.opponents "
            f"{config.selfplay.opponents}, which never plays snapshots. Leave it out, or add a "
            f"kind that does, as --selfplay.opponents uniform."
        )
    if config.eval.share == 0:
        for key in ("eval.episodes", "eval.seed"):
            if key in overrides:
                raise SettingError(
                    f"{key} has no effect with eval.share 0, which turns evaluations during "
                    f"training off. Leave it out, or add --eval.share 0.1."
                )
