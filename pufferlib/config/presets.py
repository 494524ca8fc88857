"""Presets: settings in TOML files, over the defaults, and settings as JSON in a run's folder.

`<family>.toml`, then `<task>.toml`, override the defaults; a slash in the name of a task is `-` in
the name of its file. A preset's [train] is for the algorithm that it names, PPO if it names none.
Another algorithm takes only the settings of the training loop from it, and then everything in
`<family>.<algorithm>.toml` and `<task>.<algorithm>.toml`.
"""

import dataclasses
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar

from pufferlib.annotations import JsonObject
from pufferlib.config import editing
from pufferlib.config.settings import Config, algorithm_config
from pufferlib.exceptions import SettingError, suggestion
from pufferlib.training.config import LoopConfig

PRESETS = Path(__file__).parent
_LOOP_SETTINGS = frozenset(field.name for field in dataclasses.fields(LoopConfig))
RENAMED = {"policy.recurrent": "policy.memory (none, lstm or gru)"}
SWEEP = "sweep"  # a table that pufferlib.sweep reads
_Settings = TypeVar("_Settings")


def load(
    names: Iterable[str],
    folders: Sequence[Path] = (PRESETS,),
    algorithm: str | None = None,
    instead: Mapping[Path, JsonObject] | None = None,
) -> Config:
    """Return the defaults, overridden by the preset of each name in turn.

    A name without a preset changes nothing.

    Args:
        names: families and tasks, the most general first.
        folders: where preset files are, the most general first.
        algorithm: which algorithm learns; None: the one that the presets name.
        instead: contents of preset files, in place of those that they have or that they lack.

    Raises:
        SettingError: a preset is not TOML, has an unknown key or a value of the wrong type.
    """
    chosen, read = _read(names, folders, algorithm, instead or {})
    config = Config(algorithm=chosen, train=algorithm_config(chosen)())
    for source, values in read:
        values = {key: value for key, value in values.items() if key not in ("algorithm", SWEEP)}
        config = override(config, values, source)
    return config


def load_sweep(
    names: Iterable[str], folders: Sequence[Path] = (PRESETS,), algorithm: str | None = None
) -> list[tuple[str, object]]:
    """Return the table [sweep] of each preset that `load` reads, with the file it stands in."""
    _, read = _read(names, folders, algorithm, {})
    return [(source, values[SWEEP]) for source, values in read if SWEEP in values]


def _read(
    names: Iterable[str],
    folders: Sequence[Path],
    algorithm: str | None,
    instead: Mapping[Path, JsonObject],
) -> tuple[str, list[tuple[str, JsonObject]]]:
    """Return the algorithm that learns, and the contents of the presets for it, by file."""
    files = [preset_file(name, folder) for name in dict.fromkeys(names) for folder in folders]
    read = _contents(files, instead)
    named = next((values["algorithm"] for _, values in read[::-1] if "algorithm" in values), "ppo")
    chosen = algorithm or str(named)
    settings = algorithm_config(chosen)
    if chosen != named:
        read = [(source, _of_the_loop(values)) for source, values in read]
        read += _contents([with_algorithm(path, settings.algorithm) for path in files], instead)
    return chosen, read


def _contents(
    files: Iterable[Path], instead: Mapping[Path, JsonObject]
) -> list[tuple[str, JsonObject]]:
    return [
        (str(path), instead[path] if path in instead else editing.read(path))
        for path in files
        if path in instead or path.is_file()
    ]


def _of_the_loop(values: JsonObject) -> JsonObject:
    """Return a preset without [sweep] and the settings of [train] of one algorithm."""
    train = values.get("train", {})
    if not isinstance(train, Mapping):
        return values  # `override` refuses it
    train = {key: value for key, value in train.items() if key in _LOOP_SETTINGS}
    rest = {key: value for key, value in values.items() if key != SWEEP}
    return {**rest, "train": train}


def preset_file(name: str, folder: Path) -> Path:
    """Return where the preset of a family or a task would be in `folder`."""
    return folder / f"{name.replace('/', '-')}.toml"


def with_algorithm(path: Path, algorithm: str) -> Path:
    """Return where the settings of another algorithm than the preset's would be, next to it."""
    return path.with_name(f"{path.stem}.{algorithm}.toml")


def override(
    settings: _Settings, values: Mapping[str, object], source: str, path: str = ""
) -> _Settings:
    """Return a copy of `settings`, a dataclass, in which `values` replace the settings they name.

    Args:
        settings: left unchanged.
        values: nested by table; each has the type of its setting.
        source: where the values come from, for errors.
        path: of `settings` within the whole configuration, for errors: "train.".

    Raises:
        SettingError: an unknown key, with a suggestion; a value of the wrong type.
    """
    types = typing.get_type_hints(type(settings))
    names = [field.name for field in dataclasses.fields(settings)]  # type: ignore[arg-type]
    changed: JsonObject = {}
    for key, value in values.items():
        where = f"{path}{key}"
        if where in RENAMED:
            raise SettingError(f"{source}: the setting {where} is now {RENAMED[where]}.")
        if key not in names:
            raise SettingError(
                f"{source}: there is no setting {where!r}.{suggestion(key, names)} "
                f"Settings here: {', '.join(path + name for name in names)}."
            )
        own = getattr(settings, key)
        if dataclasses.is_dataclass(own) and isinstance(value, Mapping):
            changed[key] = override(own, value, source, f"{where}.")
        elif _fits(value, types[key]):
            changed[key] = value
        else:
            raise SettingError(f"{source}: {where} must be {allowed(types[key])}; got {value!r}.")
    return dataclasses.replace(settings, **changed)  # type: ignore[type-var]


def as_json(config: Config) -> JsonObject:
    """Return the settings as plain JSON values; `from_json` reads them back."""
    values = dataclasses.asdict(config)
    values["run"] = None if config.run is None else str(config.run)
    return values


def from_json(values: JsonObject, source: str) -> Config:
    """Return the settings that `as_json` was called with.

    Raises:
        SettingError: they were written by a version with other settings.
    """
    values = dict(values)
    run = values.pop("run", None)
    if not isinstance(run, str | None):
        raise SettingError(f"{source}: run must be str or None; got {run!r}.")
    policy = values.get("policy", {})
    if isinstance(policy, Mapping) and "recurrent" in policy:  # of versions before policy.memory
        memory = "lstm" if policy["recurrent"] else "none"
        rest = {key: value for key, value in policy.items() if key != "recurrent"}
        policy = {**rest, "memory": memory}
    if isinstance(policy, Mapping):
        # What versions without these settings did, and their weights are for.
        before = {"rescale_actions": False, "critic": "shared", "uint8": "scaled"}
        values["policy"] = {**before, **policy}
    values.setdefault("eval", {"share": 0.0})  # versions without this table did not evaluate
    algorithm = values.get("algorithm", "ppo")
    if not isinstance(algorithm, str):
        raise SettingError(f"{source}: algorithm must be str; got {algorithm!r}.")
    config = Config(train=algorithm_config(algorithm)())
    config = override(config, values, source)
    return dataclasses.replace(config, run=None if run is None else Path(run))


def _fits(value: object, annotation: Any) -> bool:
    origin = typing.get_origin(annotation)
    if origin in (UnionType, typing.Union):
        return any(_fits(value, part) for part in typing.get_args(annotation))
    if origin is Literal:
        return value in typing.get_args(annotation)
    if annotation is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if annotation is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, origin or annotation)


def allowed(annotation: Any) -> str:
    """Return what an error says that a value must be: its type, or of a bool both values."""
    if typing.get_origin(annotation) in (UnionType, typing.Union):
        return " or ".join(allowed(part) for part in typing.get_args(annotation))
    return "true or false" if annotation is bool else type_name(annotation)


def type_name(annotation: Any) -> str:
    """Return how a text names a type: "int or None", "'raise' or 'restart'"."""
    origin = typing.get_origin(annotation)
    if origin is Literal:
        return " or ".join(repr(value) for value in typing.get_args(annotation))
    if origin in (UnionType, typing.Union):
        return " or ".join(type_name(part) for part in typing.get_args(annotation))
    if annotation is type(None):
        return "None"
    return getattr(annotation, "__name__", str(annotation))
