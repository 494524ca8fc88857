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
from pufferlib import registry
from pufferlib.annotations import JsonObject
from pufferlib.config import Config
from pufferlib.config.settings import with_lists
from pufferlib.cores import usable_cores
from pufferlib.exceptions import (
    ArgumentError,
    LogError,
    NotInstalledError,
    SettingError,
)
from pufferlib.registry import EnvSource, same_source
from pufferlib.runs import Run
from pufferlib.runs.folder import CONFIG, GROUP, RUNS, locked
from pufferlib.runs.settings import Overrides, assemble, located
from pufferlib.runs.train import check_log, sigterm_as_interrupt
from pufferlib.sweep.config import SweepConfig
from pufferlib.sweep.default_space import default_space
from pufferlib.sweep.dimension import Value
from pufferlib.sweep.executor import Executor, LocalExecutor, split_cores
from pufferlib.sweep.sources import PREFIX, SPACE, SWEEP, Stored, configured, flat, read_presets
from pufferlib.sweep.space import FIXED, Space
from pufferlib.training.config import choose_device
from pufferlib.training.loggers import write_json
from pufferlib.vector.ray.cluster import ray_module

if TYPE_CHECKING:
    from optuna import Study

FRONT = "front.svg"
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

        If the folder holds a sweep of `env`, that is continued: what it was started with takes the
        place of presets.

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
        own = {name: overrides.pop(name) for name in list(overrides) if name.startswith(PREFIX)}
        source = registry.resolve(env)
        path = Path(str(folder)) if folder else RUNS / f"sweep-{source.label}"
        before = _continued(Stored.read(path), source, overrides)
        if before is None:
            preset = Run.configure(env, {"log.tensorboard": False, **overrides})
            preset = dataclasses.replace(preset, given=frozenset(overrides))
        else:
            given = before.given | frozenset(overrides)
            preset = Run(assemble(source, overrides, before.config), source, given=given)
        preset.config.check()
        preset.check_policy()
        check_log(preset.config.log)
        with closing(preset.in_this_process().make_vecenv()) as one:
            rows = one.num_agents * preset.config.vec.num_envs
        if before is None:
            config, tables = read_presets(preset, overrides.get("algorithm"))
        else:
            config, tables = before.sweep, dict[str, object](before.space)
        config = configured(config, own)
        config.check()
        if config.executor == "ray":
            ray_module()
        elif config.jobs is None:
            is_small = preset.config.vec.backend == "Serial"
            is_small &= choose_device(preset.config.train.device).type == "cpu"
            config = dataclasses.replace(config, jobs=usable_cores() if is_small else 1)
        lines = {name[len(SPACE) :]: own[name] for name in own if name.startswith(SPACE)}
        if not tables and all(line == FIXED for line in lines.values()):
            default, settings = default_space(preset.config, rows, preset.is_recurrent)
            tables = dict[str, object](default)
            preset = dataclasses.replace(preset, config=settings)
        tables = {name: tables[name] for name in tables if name in lines or name not in overrides}
        lines = tables | lines
        space = Space.parse(lines, preset.config, "sweep.space")
        dataclasses.replace(preset.config, run=path).check()
        sweep = cls(preset, config, space, path, rows)
        sweep._check_space()
        if config.executor == "local":
            split_cores(sweep.jobs)
        return sweep

    @property
    def jobs(self) -> int:
        """How many trials run side by side on this machine."""
        return self.config.jobs or 1

    def run(self, console: Console | None = None, executor: Executor | None = None) -> "Study":
        """Search until all trials have ended, confirm the front, report; return Optuna's study.

        A sweep that was interrupted or killed continues where it was. Ctrl+C and SIGTERM save the
        trials that run.

        Args:
            console: where to print; the terminal if None.
            executor: where trials run; None: as sweep.executor says.

        Raises:
            ArgumentError: the folder is in use, or holds another sweep.
            SettingError: the trials do not fit on the Ray cluster.
            PufferError: ten trials in a row have failed, or the preset cannot be trained.
            LogError: the disk is full.
        """
        console = console or Console()
        with locked(self.folder):
            executor = executor or self._make_executor()  # Ray handles SIGTERM in its own way
            with closing(executor), sigterm_as_interrupt(), _raise_log_error(self.folder):
                return self._search(executor, console)

    def _search(self, executor: Executor, console: Console) -> "Study":
        """Search in the locked folder; see `run`."""
        from pufferlib.sweep.confirm import confirm_front
        from pufferlib.sweep.journal import open_journal
        from pufferlib.sweep.loop import SweepLoop
        from pufferlib.sweep.samplers import make_sampler

        self._check_folder()
        sampler = make_sampler(self.config.sampler, self.config.seed)
        study = open_journal(self.folder, sampler)
        write_json(self.folder / SWEEP, self.facts())
        facts = json.loads(json.dumps(self.facts()))
        if study.user_attrs.get("sweep") != facts:
            study.set_user_attr("sweep", facts)
        with closing(executor):  # while SIGTERM is an interrupt
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

    def _make_executor(self) -> Executor:
        environment = {"WANDB_RUN_GROUP": self.folder.name}
        if self.config.executor == "local":
            return LocalExecutor(self.jobs, environment)
        from pufferlib.sweep.ray.executor import RayExecutor

        config = self.config
        return RayExecutor(config.jobs, config.num_cpus, config.num_gpus, environment)

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

    def samples(self) -> Iterator[dict[str, Value]]:
        """Yield settings to check: each dimension's choices or ends, with what it depends on."""
        for dimension in self.space:
            for value in dimension.samples():
                values = {dimension.setting: value}
                if dimension.condition is not None:
                    setting, allowed = dimension.condition
                    values[setting] = allowed[0]
                yield values

    def facts(self) -> JsonObject:
        """Return what `sweep.json` keeps, as JSON values."""
        config = presets.as_json(self.preset.config)
        return {
            "env": self.preset.source.name,
            "config": {key: value for key, value in config.items() if key != "run"},
            "given": sorted(self.preset.given),
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
        for values in self.samples():
            try:
                self._assembled(values).check_policy()
            except SettingError as error:
                raise SettingError(f"The space of {next(iter(values))}: {error}") from error

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
        before = Stored.read(self.folder)
        if before is None:
            for name in (CONFIG, GROUP):
                if (self.folder / name).exists():
                    raise ArgumentError(
                        f"{self.folder} is the folder of a run: it has a {name}. Name another "
                        f"folder for the sweep with --run."
                    )
            return
        found = _compared(before.env, before.config, before.space, before.sweep)
        now = _compared(
            self.preset.source.name, self.preset.config, self.space.lines(), self.config
        )
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


def _continued(
    before: Stored | None, source: EnvSource, overrides: Mapping[str, object]
) -> Stored | None:
    """Return the sweep in a folder if it is of the same environment and algorithm."""
    if before is None or not same_source(before.env, source.name):
        return None
    algorithm = overrides.get("algorithm")
    is_same = algorithm is None or located(str(algorithm)) == before.config.algorithm
    return before if is_same else None


def _compared(
    env: str, config: Config, space: Mapping[str, str], sweep: SweepConfig
) -> dict[str, Any]:
    """Return what decides what the results of a sweep mean, by name."""
    settings = {key: value for key, value in presets.as_json(config).items() if key != "run"}
    found = {**flat(settings), **flat({"sweep.space": space}), "ENV": env}
    return with_lists(found | {f"sweep.{name}": getattr(sweep, name) for name in _FIXED})
