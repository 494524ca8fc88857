"""The loop of a sweep: propose settings, start trials, record how they end."""

import math
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optuna import Study
from optuna.trial import FrozenTrial, Trial
from rich.console import Console

from pufferlib.exceptions import ArgumentError, PufferError
from pufferlib.runs.folder import GROUP, defer_signals
from pufferlib.sweep import journal
from pufferlib.sweep.config import SCORE_SEED
from pufferlib.sweep.dimension import Dimension, Value
from pufferlib.sweep.early_stop import Curve, EarlyStop
from pufferlib.sweep.executor import Ending, Executor, Process
from pufferlib.sweep.trial_files import LOG, SPEC, ask_to_stop
from pufferlib.sweep.trial_folder import CurveReader, TrialResult, TrialSpec, find_stall, read_curve
from pufferlib.training.loggers import write_json

if TYPE_CHECKING:
    from pufferlib.runs import Run
    from pufferlib.sweep.sweep import Sweep

TRIALS = "trials"
INFEASIBLE = "infeasible: "  # begins the reason of settings that cannot work together
_MOST_FAILURES = 10  # in a row
_MOST_INFEASIBLE = 100  # in a row
_MOST_INTERRUPTIONS = 10  # of one trial; it may end itself
_POLL_S = 0.05
_WATCH_S = 1.0  # between looks at the files of a trial


def is_infeasible(trial: FrozenTrial) -> bool:
    """Return whether a trial failed because its settings cannot work together."""
    return str(trial.user_attrs.get("state_reason", "")).startswith(INFEASIBLE)


@dataclass
class Job:
    """A trial at work."""

    trial: Trial
    folder: Path
    spec: TrialSpec
    process: Process
    reader: CurveReader
    timesteps: int
    watched_s: float = 0.0
    reason: str | None = None
    is_stopping: bool = False

    @property
    def curve(self) -> Curve:
        """The evaluations during training, of the first seed."""
        return read_curve(self.spec.run_folder(self.folder, self.spec.seeds[0]), self.spec.kind)


class SweepLoop:
    """Runs the trials of a sweep.

    Args:
        sweep: what to search.
        study: its journal, with the sampler.
        executor: where trials run.
        console: where to print a line for each trial.
    """

    def __init__(self, sweep: "Sweep", study: Study, executor: Executor, console: Console) -> None:
        self._sweep, self._study, self._executor = sweep, study, executor
        self._console = console
        self._jobs: list[Job] = []
        self._pending = deque(journal.unfinished(study))
        self._counted = len(self._pending)
        self._used_s = 0.0  # wall time of trials
        self._failures = self._infeasible = 0  # in a row
        self._interruptions: Counter[int] = Counter()  # by the number of the trial
        self._early_stop = EarlyStop(sweep.config.early_stop)
        for trial in study.get_trials(deepcopy=False):
            if trial.state.is_finished() and not is_infeasible(trial):
                self._counted += 1
                self._count(trial.user_attrs, trial.values[0] if trial.values else None)
        if not study.get_trials(deepcopy=False):
            values = sweep.space.values(sweep.preset.config)
            preset = {d.parameter: d.to_parameter(values[d.setting]) for d in self._preset()}
            study.enqueue_trial(preset)

    def run(self) -> None:
        """Run until all trials have ended.

        Raises:
            PufferError: too many failed in a row.
        """
        while True:
            with defer_signals():
                while len(self._jobs) < self._executor.jobs and self._start_next():
                    pass
            if not self._jobs:
                return
            time.sleep(_POLL_S)
            for job in list(self._jobs):
                with defer_signals():
                    self._watch(job)

    def _start_next(self) -> bool:
        """Start the next trial; return False if there is none."""
        while True:
            if self._pending:
                trial = self._pending.popleft()
            elif self._counted < self._sweep.config.trials and not self._is_late():
                trial = self._study.ask()
                self._counted += 1
            else:
                return False
            try:
                run, values = self._choose(trial)
            except ArgumentError as error:
                self._fail(trial, f"{INFEASIBLE}{error}")
                continue
            self._start(trial, run, values)
            return True

    def _is_late(self) -> bool:
        hours = self._sweep.config.hours
        return hours is not None and self._used_s / self._executor.jobs >= hours * 3600

    def _choose(self, trial: Trial) -> "tuple[Run, dict[str, Value]]":
        """Return the run of a trial, and the settings that were chosen for it.

        Raises:
            ArgumentError: they cannot work together.
        """
        values: dict[str, Value] = {}
        for dimension in self._sweep.space.active(values):
            values[dimension.setting] = dimension.suggest(trial)
        if trial.number == 0:  # exactly the preset, also where it lies off a grid
            own = self._sweep.space.values(self._sweep.preset.config)
            return self._sweep.preset, {name: own[name] for name in values}
        return self._sweep.run_of(values), values

    def _preset(self) -> list[Dimension]:
        """Return the dimensions that the preset has."""
        return list(self._sweep.space.active(self._sweep.space.values(self._sweep.preset.config)))

    def _start(self, trial: Trial, run: "Run", values: dict[str, Value]) -> None:
        config = self._sweep.config
        name = f"{TRIALS}/{trial.number:04}"
        folder = self._sweep.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        first = run.config.train.seed + trial.number * config.seeds
        spec = TrialSpec.of(run, config, range(first, first + config.seeds), SCORE_SEED)
        if (folder / SPEC).exists():  # resumed
            spec = TrialSpec.read(folder)
        else:
            if len(spec.seeds) > 1:
                write_json(folder / GROUP, {"seeds": spec.seeds})
            spec.write(folder)
        journal.note(trial, {"run": name, "settings": values})
        process = self._executor.start(folder)
        first_run = spec.run_folder(folder, spec.seeds[0])
        reader = CurveReader(first_run, spec.kind, process.started_s)
        self._jobs.append(
            Job(trial, folder, spec, process, reader, run.config.train.total_timesteps)
        )

    def _watch(self, job: Job) -> None:
        """Record a trial that has ended; end one that hangs or can hardly win."""
        ending = job.process.poll()
        if ending is not None:
            self._jobs.remove(job)
            self._record(job, ending)
            return
        now_s = time.time()
        if now_s < job.watched_s + _WATCH_S or job.reason is not None:
            return
        job.watched_s = now_s
        job.reason = find_stall(job.folder, job.process.started_s, self._sweep.config.stall_s)
        if job.reason is not None:
            job.process.kill()
        elif job.trial.number and not job.is_stopping and job.reader.update():
            progress = job.reader.timesteps / job.timesteps
            if self._early_stop.can_hardly_win(job.reader.curve, progress):
                job.is_stopping = True
                ask_to_stop(job.folder)
                job.process.interrupt()

    def _record(self, job: Job, ending: Ending) -> None:
        """Finish a trial in the journal; one that was interrupted goes on later.

        Raises:
            PufferError: too many have failed in a row, or the preset is refused.
        """
        result, curve = TrialResult.read(job.folder), job.curve
        number = job.trial.number
        if job.reason is None and result is None and ending.is_interrupted:
            self._interruptions[number] += 1
            if self._interruptions[number] < _MOST_INTERRUPTIONS:
                if ending.error is not None:
                    self._print(f"{self._name(job.trial)} is run again: {ending.error}")
                self._pending.appendleft(job.trial)
                return
        if number == 0 and result is not None and result.is_refused:
            TrialResult.remove(job.folder)  # the same command tries it again
            raise PufferError(
                f"The preset itself cannot be trained: {result.reason} ({job.folder / LOG}). Fix "
                f"the cause and run the same command to continue."
            )
        if job.reason is not None or result is None or result.reason is not None:
            found = ending.reason if result is None else result.reason
            cost = {"cpu_s": ending.cpu_s, "wall_s": ending.wall_s, "curve": curve}
            journal.note(job.trial, cost)
            self._fail(job.trial, job.reason or str(found), f" ({job.folder / LOG})")
            return
        journal.note(job.trial, attributes_of(result, curve))
        journal.complete(self._study, job.trial, result.score, result.cpu_s)
        self._failures = self._infeasible = 0
        self._count(job.trial.user_attrs, result.score)
        low, high = result.interval
        early = ", stopped early" if result.stopped_early else ""
        self._print(
            f"{self._name(job.trial)}: score {result.score:.2f} [{low:.2f}, {high:.2f}], "
            f"{result.cpu_s:.1f} CPU s, {result.timesteps:,} timesteps{early}"
        )

    def _fail(self, trial: Trial, reason: str, where: str = "") -> None:
        """Finish a trial as failed.

        Raises:
            PufferError: too many have failed in a row.
        """
        journal.fail(self._study, trial, reason)
        self._print(f"{self._name(trial)} failed: {reason}{where}")
        if reason.startswith(INFEASIBLE):
            self._infeasible += 1
            self._counted -= 1  # it has cost nothing
        else:
            self._failures += 1
            self._count(trial.user_attrs, None)
        if max(self._failures - _MOST_FAILURES, self._infeasible - _MOST_INFEASIBLE) >= 0:
            raise PufferError(
                f"The last {max(self._failures, self._infeasible)} trials failed, the latest: "
                f"{reason}. Their logs are {self._sweep.folder / TRIALS}/*/{LOG}. Fix the cause "
                f"and run the same command to continue."
            )

    def _count(self, attributes: Mapping[str, Any], score: float | None) -> None:
        """Add a trial that has ended to what later ones are compared with."""
        self._used_s += attributes.get("wall_s", 0.0)
        curve = [(cpu_s, score) for cpu_s, score in attributes.get("curve", [])]
        if score is not None:
            curve.append((attributes["cpu_s"], score))
            self._early_stop.add(curve, attributes.get("stopped_early", False))

    def _name(self, trial: Trial) -> str:
        return f"Trial {trial.number}" + ("" if trial.number else " (the preset)")

    def _print(self, line: str) -> None:
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)


def attributes_of(result: TrialResult, curve: Curve) -> dict[str, object]:
    """Return what the journal keeps of a trial that did not fail, besides its values."""
    low, high = (None if math.isnan(bound) else bound for bound in result.interval)
    attributes: dict[str, object] = {
        "score_low": low,
        "score_high": high,
        "cpu_s": result.cpu_s,
        "wall_s": result.wall_s,
        "timesteps": result.timesteps,
        "curve": [list(point) for point in curve],
    }
    if result.stopped_early:
        attributes["stopped_early"] = True
    return attributes
