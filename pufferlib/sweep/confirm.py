"""Train the points of the front again with fresh seeds: the winner of a noisy search was lucky."""

import shutil
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optuna import Study
from optuna.trial import FrozenTrial
from rich.console import Console

from pufferlib.runs.folder import GROUP, defer_signals
from pufferlib.sweep.config import CONFIRM_SEED, CONFIRM_SEEDS_APART
from pufferlib.sweep.executor import Ending, Executor, Process
from pufferlib.sweep.front import to_confirm
from pufferlib.sweep.trial_files import SPEC
from pufferlib.sweep.trial_folder import TrialResult, TrialSpec, find_stall
from pufferlib.training.loggers import write_json

if TYPE_CHECKING:
    from pufferlib.sweep.sweep import Sweep

CONFIRMATIONS = "confirm"
_POLL_S = 0.05
_WATCH_S = 1.0  # between looks at the files of a trial
_MOST_INTERRUPTIONS = 10  # of one trial; it may end itself


@dataclass
class _Job:
    """A confirmation at work."""

    trial: FrozenTrial
    folder: Path
    process: Process
    watched_s: float = 0.0
    reason: str | None = None

    def watch(self, stall_s: float) -> Ending | None:
        """Return how it ended; None if it has not. End it if it hangs."""
        ending = self.process.poll()
        now_s = time.time()
        if ending is None and self.reason is None and now_s >= self.watched_s + _WATCH_S:
            self.watched_s = now_s
            self.reason = find_stall(self.folder, self.process.started_s, stall_s)
            if self.reason is not None:
                self.process.kill()
        return ending


def confirmed(study: Study) -> dict[int, dict[str, Any]]:
    """Return what was confirmed, by the number of the trial: seeds, scores, cpu_s."""
    prefix = "confirmed:"
    return {
        int(name.removeprefix(prefix)): dict(value)
        for name, value in study.user_attrs.items()
        if name.startswith(prefix)
    }


def confirm_front(sweep: "Sweep", study: Study, executor: Executor, console: Console) -> None:
    """Train the trials of the front with fresh seeds and keep their scores in the study.

    The front changes no more: it is that of the scores of the search.
    """
    if sweep.config.confirm == 0:
        return
    known = confirmed(study)
    chosen = to_confirm(study.get_trials(deepcopy=False), sweep.config.confirm_points)
    waiting = [
        trial
        for trial in chosen
        if len(known.get(trial.number, {}).get("scores", ())) < sweep.config.confirm
    ]
    running: list[_Job] = []
    interruptions: Counter[int] = Counter()  # by the number of the trial
    while waiting or running:
        while waiting and len(running) < executor.jobs:
            trial = waiting.pop(0)
            folder = _prepare(sweep, trial)
            running.append(_Job(trial, folder, executor.start(folder)))
        time.sleep(_POLL_S)
        for job in list(running):
            ending = job.watch(sweep.config.stall_s)
            if ending is None:
                continue
            running.remove(job)
            result = TrialResult.read(job.folder)
            if job.reason is None and result is None and ending.is_interrupted:
                interruptions[job.trial.number] += 1
                if interruptions[job.trial.number] < _MOST_INTERRUPTIONS:
                    waiting.insert(0, job.trial)
                    continue
            with defer_signals():
                _record(study, job, ending, result, console)


def _record(
    study: Study, job: _Job, ending: Ending, result: TrialResult | None, console: Console
) -> None:
    """Keep the scores of a confirmation, or why it failed: the same command then repeats it."""
    found = ending.reason if result is None else result.reason
    reason = job.reason or found
    runs = [] if result is None or reason is not None else result.runs
    value = {
        "seeds": TrialSpec.read(job.folder).seeds,
        "scores": [run.score for run in runs],
        "cpu_s": [run.cpu_s for run in runs],
        "reason": reason,
    }
    study.set_user_attr(f"confirmed:{job.trial.number}", value)
    scores = ", ".join(f"{run.score:.2f}" for run in runs)
    console.print(
        f"Trial {job.trial.number} with fresh seeds: {scores or f'failed: {reason}'}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def _prepare(sweep: "Sweep", trial: FrozenTrial) -> Path:
    """Return the folder in which a trial is confirmed, with its `trial.json`."""
    folder = sweep.folder / CONFIRMATIONS / f"{trial.number:04}"
    run = sweep.run_of(trial.user_attrs["settings"])
    config = sweep.config
    first = run.config.train.seed + CONFIRM_SEEDS_APART
    spec = TrialSpec.of(run, config, range(first, first + config.confirm), CONFIRM_SEED)
    if (folder / SPEC).exists():
        before = TrialSpec.read(folder).seeds
        result = TrialResult.read(folder)
        if before == spec.seeds and (result is None or result.reason is None):
            return folder
        TrialResult.remove(folder)  # it failed, or is to have more seeds
        if before != spec.seeds and 1 in (len(before), len(spec.seeds)):
            shutil.rmtree(folder)  # a single run has the whole folder
    folder.mkdir(parents=True, exist_ok=True)
    if len(spec.seeds) > 1:
        write_json(folder / GROUP, {"seeds": spec.seeds})
    spec.write(folder)
    return folder
