"""The journal of a sweep: Optuna's study in a file, written by one process."""

import contextlib
import os
from pathlib import Path
from typing import Any

import optuna
from optuna.samplers import BaseSampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, Trial, TrialState

from pufferlib.exceptions import CheckpointError

JOURNAL = "journal.log"
STUDY = "sweep"


def open_journal(folder: Path, sampler: BaseSampler | None = None) -> optuna.Study:
    """Return the study of the sweep in a folder, whose lock this process holds; a new one if none.

    What a killed process has left is cleared: a lock, for which Optuna would wait half a minute,
    and an unfinished line, behind which the next would be lost.

    Raises:
        CheckpointError: the journal is damaged.
    """
    path = folder / JOURNAL
    for left in (path.with_name(f"{JOURNAL}.lock"), *folder.glob(f"{JOURNAL}.lock*.rename")):
        left.unlink(missing_ok=True)
    _drop_unfinished_line(path)
    study = _load(path, sampler)
    if study is None:
        study = optuna.create_study(
            study_name=STUDY,
            storage=_storage(path),
            sampler=sampler,
            directions=["maximize", "minimize"],
        )
    return study


def read_journal(folder: Path) -> optuna.Study:
    """Return the study of the sweep in a folder, to read; the sweep may be running.

    Raises:
        CheckpointError: there is none, or it is damaged.
    """
    path = folder / JOURNAL
    study = _load(path, None) if path.exists() else None
    if study is None:
        raise CheckpointError(f"{folder} is not the folder of a sweep: its {JOURNAL} has none.")
    return study


def _load(path: Path, sampler: BaseSampler | None) -> optuna.Study | None:
    """Return the study in a journal; None if it has none."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        storage = _storage(path)
        if not storage.get_all_studies():
            return None
        return optuna.load_study(study_name=STUDY, storage=storage, sampler=sampler)
    except (ValueError, KeyError) as error:  # not JSON, or not what Optuna writes
        raise CheckpointError(f"{path} cannot be read as a journal of Optuna: {error}.") from error


def _storage(path: Path) -> JournalStorage:
    return JournalStorage(JournalFileBackend(str(path), lock_obj=JournalFileOpenLock(str(path))))


def unfinished(study: optuna.Study) -> list[Trial]:
    """Return the trials that have begun and not ended, to continue with, in their order."""
    found = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    return [Trial(study, trial._trial_id) for trial in found]


def note(trial: Trial, attributes: dict[str, Any]) -> None:
    """Set user attributes of a trial, those that it does not have yet."""
    known = trial.user_attrs
    for name, value in attributes.items():
        if known.get(name) != value:
            trial.set_user_attr(name, value)


def complete(study: optuna.Study, trial: Trial, score: float, cost: float) -> FrozenTrial:
    """Finish a trial with its values."""
    return study.tell(trial, (score, cost))


def fail(study: optuna.Study, trial: Trial, reason: str) -> FrozenTrial:
    """Finish a trial without values."""
    note(trial, {"state_reason": reason})
    return study.tell(trial, state=TrialState.FAIL)


def _drop_unfinished_line(path: Path) -> None:
    """Cut what follows the last complete line of a journal."""
    with contextlib.suppress(FileNotFoundError), path.open("rb+") as file:
        size = end = file.seek(0, os.SEEK_END)
        while end > 0:  # lines are short: search backwards, in pieces
            begin = max(0, end - 65536)
            file.seek(begin)
            found = file.read(end - begin).rfind(b"\n")
            if found >= 0:
                end = begin + found + 1
                break
            end = begin
        if end < size:
            file.truncate(end)
