"""Train the points of the front again with fresh seeds: the winner of a noisy search was lucky."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optuna import Study
from optuna.trial import FrozenTrial
from rich.console import Console

from pufferlib import config as presets
from pufferlib.runs.folder import GROUP, defer_signals
from pufferlib.sweep.config import CONFIRM_SEED, CONFIRM_SEEDS_APART
from pufferlib.sweep.executor import Executor, Process
from pufferlib.sweep.front import to_confirm
from pufferlib.sweep.trial_folder import SPEC, TrialResult, TrialSpec
from pufferlib.training.loggers import write_json

if TYPE_CHECKING:
    from pufferlib.sweep.sweep import Sweep

CONFIRMATIONS = "confirm"
_POLL_S = 0.05


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
    waiting = [trial for trial in chosen if trial.number not in known]
    running: list[tuple[FrozenTrial, Path, Process]] = []
    while waiting or running:
        while waiting and len(running) < executor.jobs:
            trial = waiting.pop(0)
            folder = _prepare(sweep, trial)
            running.append((trial, folder, executor.start(folder)))
        time.sleep(_POLL_S)
        for job in list(running):
            trial, folder, process = job
            ending = process.poll()
            if ending is None:
                continue
            running.remove(job)
            with defer_signals():
                result = TrialResult.read(folder)
                reason = ending.reason if result is None else result.reason
                runs = [] if result is None else result.runs
                value = {
                    "seeds": TrialSpec.read(folder).seeds,
                    "scores": [run.score for run in runs],
                    "cpu_s": [run.cpu_s for run in runs],
                    "reason": reason,
                }
                study.set_user_attr(f"confirmed:{trial.number}", value)
            scores = ", ".join(f"{run.score:.2f}" for run in runs)
            console.print(
                f"Trial {trial.number} with fresh seeds: {scores or f'failed: {reason}'}",
                highlight=False,
                markup=False,
                soft_wrap=True,
            )


def _prepare(sweep: "Sweep", trial: FrozenTrial) -> Path:
    """Return the folder in which a trial is confirmed, with its `trial.json`."""
    folder = sweep.folder / CONFIRMATIONS / f"{trial.number:04}"
    if (folder / SPEC).exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    run = sweep.run_of(trial.user_attrs["settings"])
    config = sweep.config
    first = run.config.train.seed + CONFIRM_SEEDS_APART
    spec = TrialSpec(
        config=presets.as_json(run.config),
        given=sorted(run.given),
        seeds=list(range(first, first + config.confirm)),
        episodes=config.episodes,
        first_seed=CONFIRM_SEED,
        kind="greedy" if config.greedy else "sampled",
    )
    if len(spec.seeds) > 1:
        write_json(folder / GROUP, {"seeds": spec.seeds})
    spec.write(folder)
    return folder
