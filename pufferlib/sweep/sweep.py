"""A sweep: its preset, its space and its folder, checked before anything starts."""

import contextlib
import dataclasses
import importlib.util
import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from pufferlib import config as presets
from pufferlib.annotations import JsonObject
from pufferlib.cores import usable_cores
from pufferlib.exceptions import (
    ArgumentError,
    CheckpointError,
    LogError,
    NotInstalledError,
    SettingError,
)
from pufferlib.runs import Run
from pufferlib.runs.folder import RUNS, locked
from pufferlib.runs.settings import Overrides, assemble, find_setting, parse
from pufferlib.runs.train import check_log, sigterm_as_interrupt
from pufferlib.sweep.config import AllSettings, SweepConfig
from pufferlib.sweep.default_space import default_space
from pufferlib.sweep.dimension import Value
from pufferlib.sweep.executor import Executor, LocalExecutor, split_cores
from pufferlib.sweep.space import FIXED, Space
from pufferlib.training.config import choose_device
from pufferlib.training.loggers import write_json

if TYPE_CHECKING:
    from optuna import Study

SWEEP = "sweep.json"
FRONT = "front.svg"
_PREFIX, _SPACE = "sweep.", "sweep.space."
# These decide what a result means: a sweep cannot be resumed with others.
_FIXED = ("sampler", "seed", "episodes", "greedy", "seeds")


@dataclass(frozen=True)
class Sweep:
    """A search for settings of a run.

    >>> space = {"sweep.space.train.learning_rate": "log 1e-4 1e-2"}
    >>> sweep = Sweep.configure("squared", {"sweep.trials": 8, **space})
    >>> sweep.config.trials, str(sweep.folder)
    (8, 'runs/sweep-squared')

    Attributes:
        preset: the run that the search starts from, trial 0.
        config: how it searches.
        space: what it searches.
        folder: where everything is kept; the same folder continues the same sweep.
        rows: agents in all environments of the preset.
    """

    preset: Run
    config: SweepConfig
    space: Space
    folder: Path
    rows: int

    @classmethod
    def configure(cls, env: str, overrides: Overrides | None = None) -> "Sweep":
        """Return the sweep of `env`: its presets with their [sweep], and `overrides` on top.

        Args:
            env: a family, a task, module:name, file.py:name, gymnasium:ID or pettingzoo:module.
            overrides: settings by dotted name: "sweep.trials" and others of `SweepConfig`; lines
                of the space such as "sweep.space.train.gamma"; "run", the folder; and settings of
                the runs. One of these is searched only if its line is given, too, and is then the
                value of trial 0.

        Raises:
            UnknownNameError: there is no such environment; suggests the nearest names.
            SettingError: a setting, or its part of the space, is unknown, impossible or without
                effect.
            NotInstalledError: the environment or Optuna is missing.
        """
        if importlib.util.find_spec("optuna") is None:
            raise NotInstalledError(
                'optuna is not installed. Run: puffer install sweep   (or: pip install "pufferlib['
                'sweep]")'
            )
        overrides = dict(overrides or {})
        folder = overrides.pop("run", None)
        own = {name: overrides.pop(name) for name in list(overrides) if name.startswith(_PREFIX)}
        preset = Run.configure(env, {"log.tensorboard": False, **overrides})
        preset = dataclasses.replace(preset, given=frozenset(overrides))
        preset.config.check()
        preset.check_policy()
        check_log(preset.config.log)
        with closing(preset.in_this_process().make_vecenv()) as one:
            rows = one.num_agents * preset.config.vec.num_envs
        config, tables = _read_presets(preset, overrides.get("algorithm"))
        config = _configured(config, own)
        config.check()
        if config.jobs is None:
            is_small = preset.config.vec.backend == "Serial"
            is_small &= choose_device(preset.config.train.device).type == "cpu"
            config = dataclasses.replace(config, jobs=usable_cores() if is_small else 1)
        given = {name[len(_SPACE) :]: own[name] for name in own if name.startswith(_SPACE)}
        if not tables and all(line == FIXED for line in given.values()):
            tables, settings = default_space(preset.config, rows, preset.is_recurrent)
            preset = dataclasses.replace(preset, config=settings)
        lines = {name: line for name, line in tables.items() if name not in overrides} | given
        space = Space.parse(lines, preset.config, "sweep.space")
        path = Path(str(folder)) if folder else RUNS / f"sweep-{preset.source.label}"
        dataclasses.replace(preset.config, run=path).check()
        sweep = cls(preset, config, space, path, rows)
        sweep._check_space()
        split_cores(sweep.jobs)
        return sweep

    @property
    def jobs(self) -> int:
        """How many trials run side by side."""
        return self.config.jobs or 1

    def run(self, console: Console | None = None, executor: Executor | None = None) -> "Study":
        """Search until all trials have ended, confirm the front, report; return Optuna's study.

        A sweep that was interrupted or killed continues where it was. Ctrl+C and SIGTERM save the
        trials that run.

        Args:
            console: where to print; the terminal if None.
            executor: where trials run; None: in processes of this machine.

        Raises:
            ArgumentError: the folder is in use, or holds another sweep.
            PufferError: ten trials in a row have failed, or the preset cannot be trained.
            LogError: the disk is full.
        """
        from pufferlib.sweep.confirm import confirm_front
        from pufferlib.sweep.journal import open_journal
        from pufferlib.sweep.loop import SweepLoop
        from pufferlib.sweep.samplers import make_sampler

        console = console or Console()
        with sigterm_as_interrupt(), locked(self.folder), _raise_log_error(self.folder):
            self._check_folder()
            sampler = make_sampler(self.config.sampler, self.config.seed)
            study = open_journal(self.folder, sampler)
            write_json(self.folder / SWEEP, self.facts())
            facts = json.loads(json.dumps(self.facts()))
            if study.user_attrs.get("sweep") != facts:
                study.set_user_attr("sweep", facts)
            environment = {"WANDB_RUN_GROUP": self.folder.name}
            executor = executor or LocalExecutor(self.jobs, environment)
            with closing(executor):
                try:
                    SweepLoop(self, study, executor, console).run()
                    confirm_front(self, study, executor, console)
                    self._report(study, console)
                except KeyboardInterrupt:
                    console.print(
                        "Saving the trials that run. The same command continues the sweep.",
                        soft_wrap=True,
                    )
                    raise
        return study

    def run_of(self, values: Mapping[str, Value]) -> Run:
        """Return the preset with some settings changed, checked as far as it can be here.

        Raises:
            SettingError: the settings cannot work together.
        """
        run = self._assembled(values)
        config = run.config
        config.check()
        run.check_policy()
        if not any(name.startswith("env.") for name in values):
            rows = self.rows // self.preset.config.vec.num_envs * config.vec.num_envs
            is_pool = config.vec.batch_size not in (None, config.vec.num_envs)
            config.train.check_rows(rows, run.is_recurrent, is_pool)
        return run

    def facts(self) -> JsonObject:
        """Return what `sweep.json` keeps, as JSON values."""
        config = presets.as_json(self.preset.config)
        return {
            "env": self.preset.source.name,
            "config": {key: value for key, value in config.items() if key != "run"},
            "space": self.space.lines(),
            "sweep": dataclasses.asdict(self.config),
        }

    def _report(self, study: "Study", console: Console) -> None:
        """Print the result, draw it where matplotlib is installed, and write it for TensorBoard."""
        from pufferlib.sweep.hparams import write_hparams
        from pufferlib.sweep.picture import draw_front
        from pufferlib.sweep.report import print_report

        print_report(study, self.facts(), console)
        write_hparams(study, self.folder)
        try:
            draw_front(study, self.preset.source.name, self.folder / FRONT)
        except NotInstalledError as error:
            console.print(f"{FRONT} was not drawn: {error}", markup=False, soft_wrap=True)
        else:
            console.print(f"Drew {self.folder / FRONT}", markup=False, soft_wrap=True)

    def _check_space(self) -> None:
        """Refuse a space with settings that have no effect or are never possible."""
        for dimension in self.space:
            for value in dimension.samples():
                values = {dimension.setting: value}
                if dimension.condition is not None:
                    setting, allowed = dimension.condition
                    values[setting] = allowed[0]
                try:
                    self._assembled(values).check_policy()
                except SettingError as error:
                    raise SettingError(f"The space of {dimension.setting}: {error}") from error

    def _assembled(self, values: Mapping[str, Value]) -> Run:
        """Return the preset with some settings changed; those without effect are refused."""
        config = assemble(self.preset.source, values, self.preset.config)
        given = self.preset.given | frozenset(values)
        return dataclasses.replace(self.preset, config=config, given=given)

    def _check_folder(self) -> None:
        """Refuse a folder that holds another sweep.

        Raises:
            ArgumentError: names what differs.
        """
        path = self.folder / SWEEP
        if not path.exists():
            return
        try:
            before = json.loads(path.read_text())
            found = {**_flat(before["config"]), **_flat({"sweep.space": before["space"]})}
            found |= {f"sweep.{name}": before["sweep"].get(name) for name in _FIXED}
            found["ENV"] = before["env"]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(f"{path} cannot be read as a sweep: {error!r}.") from error
        facts = json.loads(json.dumps(self.facts()))
        now = {**_flat(facts["config"]), **_flat({"sweep.space": facts["space"]})}
        now |= {f"sweep.{name}": facts["sweep"][name] for name in _FIXED}
        now["ENV"] = facts["env"]
        changed = [
            f"{name} was {found.get(name)!r} and is {now.get(name)!r}"
            for name in dict.fromkeys([*now, *found])
            if now.get(name) != found.get(name) and not name.startswith("log.")
        ]
        if changed:
            raise ArgumentError(
                f"{self.folder} holds another sweep: {'; '.join(changed[:5])}. Continue it with "
                f"the settings that it has, or name another folder with --run."
            )


@contextlib.contextmanager
def _raise_log_error(folder: Path) -> Iterator[None]:
    """Turn an OSError, as of a full disk, into a LogError that says how to go on."""
    try:
        yield
    except BrokenPipeError:  # of the terminal
        raise
    except OSError as error:
        raise LogError(
            f"The sweep in {folder} had to end: {error}. Its trials are kept. Free some space, or "
            f"fix what else it names, and run the same command to continue."
        ) from error


def _read_presets(preset: Run, algorithm: object) -> tuple[SweepConfig, Mapping[str, object]]:
    """Return what [sweep] of the presets says, and the lines of its space."""
    source = preset.source
    folders = (presets.PRESETS, *source.preset_folders)
    name = None if algorithm is None else preset.config.algorithm
    config = SweepConfig()
    lines: dict[str, object] = {}
    for file, table in presets.load_sweep(source.preset_names, folders, name):
        if not isinstance(table, Mapping):
            raise SettingError(f"{file}: sweep must be a table; got {table!r}.")
        space = table.get("space", {})
        if not isinstance(space, Mapping):
            raise SettingError(f"{file}: sweep.space must be a table; got {space!r}.")
        rest = {key: value for key, value in table.items() if key != "space"}
        config = presets.override(config, rest, file, _PREFIX)
        lines |= _flat(space)
    return config, lines


def _configured(config: SweepConfig, overrides: Mapping[str, object]) -> SweepConfig:
    """Return the settings of the sweep with overrides by dotted name."""
    names = [f"{_PREFIX}{field.name}" for field in dataclasses.fields(config)]
    for name, value in overrides.items():
        if name.startswith(_SPACE):
            continue
        annotation = find_setting(name, AllSettings(sweep=config)).annotation
        assert name in names
        key = name.removeprefix(_PREFIX)
        config = dataclasses.replace(config, **{key: parse(name, value, annotation)})
    return config


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested tables as one, by dotted name."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
