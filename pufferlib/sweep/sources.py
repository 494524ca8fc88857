"""Where the settings of a sweep come from: presets, or the folder of the sweep to continue."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pufferlib import config as presets
from pufferlib.annotations import JsonObject
from pufferlib.config import Config
from pufferlib.cores import usable_cores
from pufferlib.exceptions import CheckpointError, SettingError
from pufferlib.runs import Run
from pufferlib.runs.settings import find_setting, parse
from pufferlib.sweep.config import NO_LIMIT, AllSettings, SweepConfig

SWEEP = "sweep.json"
PREFIX, SPACE = "sweep.", "sweep.space."


@dataclass(frozen=True)
class Stored:
    """What `sweep.json` says.

    Attributes:
        env: name of the environment.
        config: settings of the preset, trial 0.
        given: dotted names of those that were overridden.
        sweep: how it searches.
        space: the line of each setting that is searched.
    """

    env: str
    config: Config
    given: frozenset[str]
    sweep: SweepConfig
    space: dict[str, str]

    @classmethod
    def read(cls, folder: Path) -> "Stored | None":
        """Return what the sweep in a folder has, None if there is none.

        Raises:
            CheckpointError: it cannot be read, or is of a version with other settings.
        """
        path = folder / SWEEP
        if not path.exists():
            return None
        try:
            facts: JsonObject = json.loads(path.read_text())
            config = presets.from_json({**facts["config"], "run": None}, str(path))
            sweep = presets.override(SweepConfig(), facts["sweep"], str(path), PREFIX)
            given, space = frozenset(facts.get("given", ())), flat(facts["space"])
            env = str(facts["env"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(f"{path} cannot be read as a sweep: {error!r}.") from error
        is_local = sweep.executor == "local"
        if is_local and sweep.jobs is not None and sweep.jobs > usable_cores():  # another machine's
            sweep = dataclasses.replace(sweep, jobs=None)
        return cls(env, config, given, sweep, space)


def read_presets(preset: Run, algorithm: object) -> tuple[SweepConfig, dict[str, object]]:
    """Return what [sweep] of the presets says, and the lines of its space."""
    source = preset.source
    folders = (presets.PRESETS, *source.preset_folders)
    name = None if algorithm is None else preset.config.algorithm
    config = SweepConfig()
    is_limited = False
    lines: dict[str, object] = {}
    for file, table in presets.load_sweep(source.preset_names, folders, name):
        if not isinstance(table, Mapping):
            raise SettingError(f"{file}: sweep must be a table; got {table!r}.")
        space = table.get("space", {})
        if not isinstance(space, Mapping):
            raise SettingError(f"{file}: sweep.space must be a table; got {space!r}.")
        rest = {key: value for key, value in table.items() if key != "space"}
        config = presets.override(config, rest, file, PREFIX)
        is_limited |= "trials" in rest
        lines |= flat(space)
    if config.hours is not None and not is_limited:
        config = dataclasses.replace(config, trials=NO_LIMIT)
    return config, lines


def configured(config: SweepConfig, overrides: Mapping[str, object]) -> SweepConfig:
    """Return the settings of the sweep with overrides by dotted name.

    Shares of nodes and jobs are of the executor that they were set for: another one has its
    defaults, or the overrides.
    """
    names = [f"{PREFIX}{field.name}" for field in dataclasses.fields(config)]
    before = config.executor
    for name, value in overrides.items():
        if name.startswith(SPACE):
            continue
        annotation = find_setting(name, AllSettings(sweep=config)).annotation
        assert name in names
        key = name.removeprefix(PREFIX)
        config = dataclasses.replace(config, **{key: parse(name, value, annotation)})
    of_another = ["jobs"] if config.executor != before else []
    of_another += ["num_cpus", "num_gpus"] if config.executor != "ray" else []
    defaults = {
        name: getattr(SweepConfig, name)
        for name in of_another
        if f"{PREFIX}{name}" not in overrides
    }
    config = dataclasses.replace(config, **defaults)
    if f"{PREFIX}hours" in overrides and f"{PREFIX}trials" not in overrides:
        is_default = config.trials == SweepConfig.trials
        config = dataclasses.replace(config, trials=NO_LIMIT if is_default else config.trials)
    return config


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested tables as one, by dotted name."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[prefix + key] = value
    return found
