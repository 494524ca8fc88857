"""Write the settings of a trial into a preset; what cannot be written is refused in advance."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pufferlib import config as presets
from pufferlib.annotations import JsonObject
from pufferlib.config import editing
from pufferlib.exceptions import SettingError
from pufferlib.runs.settings import find_setting
from pufferlib.sweep.report import ARGUMENTS, changed_settings, settings_of

if TYPE_CHECKING:
    from pufferlib.sweep.sweep import Sweep


def values_to_write(facts: JsonObject, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a preset needs for the settings of a trial, by dotted name; None removes a key.

    A table of arguments replaces that of the family's preset, so it is written whole.

    Args:
        facts: contents of `sweep.json`.
        settings: of the trial, by dotted name.
    """
    values = changed_settings(facts, settings)
    config = settings_of(facts, settings)
    for table in ARGUMENTS:
        if any(name.startswith(f"{table}.") for name in values):
            arguments: Any = find_setting(table, config).value
            values |= {f"{table}.{key}": value for key, value in arguments.items()}
    return values


def write_preset(path: Path, values: Mapping[str, Any]) -> None:
    """Write settings into a preset file; what else it says stays, with its comments.

    Args:
        path: `<task>.toml`, created if needed; `pufferlib.config.presets` says which are read.
        values: see `values_to_write`.

    Raises:
        SettingError: the file is not written as `pufferlib.config.editing` needs it.
    """
    tables = _tables(values)
    editing.read_edited(path, tables)
    for table, own in tables.items():
        editing.write(path, table, own)


def check_preset(path: Path, sweep: "Sweep") -> None:
    """Refuse a sweep that has values which `write_preset` could not give to `puffer train`.

    Raises:
        SettingError: names the setting; or the file cannot be written.
    """
    editing.check(path, "train", {})
    source, facts = sweep.preset.source, sweep.facts()
    folders = (presets.PRESETS, *source.preset_folders)
    for settings in ({}, *sweep.samples()):
        contents = editing.read_edited(path, _tables(values_to_write(facts, settings)))
        wanted = settings_of(facts, settings)
        found = presets.load(source.preset_names, folders, wanted.algorithm, {path: contents})
        for name in changed_settings(facts, settings):
            table = next((each for each in ARGUMENTS if name.startswith(f"{each}.")), name)
            value, other = (find_setting(table, each).value for each in (wanted, found))
            if value != other:
                raise SettingError(
                    f"--write cannot put {table} {value!r} into {path}, with which it would be "
                    f"{other!r}: TOML has no None, and without its key a setting has the value of "
                    f"the family's preset, or its default. Leave out --write, or this value."
                )


def _tables(values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return settings by table; the name of the file says of which algorithm they are."""
    tables: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        table, _, key = name.rpartition(".")
        if table:
            tables.setdefault(table, {})[key] = value
    return tables
