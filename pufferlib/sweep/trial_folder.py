"""The folder of a trial: what the sweep's process and the trial's process write for each other."""

import contextlib
import json
import os
import statistics
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pufferlib import config as presets
from pufferlib.annotations import JsonObject
from pufferlib.exceptions import CheckpointError
from pufferlib.runs.folder import CONFIG
from pufferlib.runs.seeds import mean_interval
from pufferlib.sweep.trial_files import PHASE, RESULT, SPEC, is_scoring
from pufferlib.training.loggers import METRICS, read_metrics, write_json

if TYPE_CHECKING:
    from pufferlib.runs import Run
    from pufferlib.sweep.config import SweepConfig

_SCORING_LIMITS = 3  # an evaluation logs nothing until it ends


@dataclass(frozen=True)
class TrialSpec:
    """What a trial is to do.

    Attributes:
        config: the settings of its runs, as JSON; folder and seed are of each run.
        given: names of the settings that were chosen or given.
        seeds: to train with, one after another.
        episodes: of the evaluation that scores it.
        first_seed: of that evaluation's episodes.
        kind: "sampled" or "greedy", the actions that are scored.
    """

    config: JsonObject
    given: list[str]
    seeds: list[int]
    episodes: int
    first_seed: int
    kind: str

    @classmethod
    def of(
        cls, run: "Run", config: "SweepConfig", seeds: Iterable[int], first_seed: int
    ) -> "TrialSpec":
        """Return what a trial of `run` is to do, in a sweep with these settings."""
        return cls(
            config=presets.as_json(run.config),
            given=sorted(run.given),
            seeds=list(seeds),
            episodes=config.episodes,
            first_seed=first_seed,
            kind="greedy" if config.greedy else "sampled",
        )

    def write(self, folder: Path) -> None:
        """Write it into the folder of the trial."""
        write_json(folder / SPEC, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> "TrialSpec":
        """Return what was written."""
        return cls(**json.loads((folder / SPEC).read_text()))

    def run_folder(self, folder: Path, seed: int) -> Path:
        """Return the folder of the run with one of the seeds: the trial's own if there is one."""
        return folder if len(self.seeds) == 1 else folder / f"seed-{seed}"


@dataclass(frozen=True)
class SeedResult:
    """What one run of a trial reached.

    Attributes:
        score: mean return of its evaluation.
        low: of the 95% interval of that mean; NaN for one game.
        high: likewise.
        cpu_s: CPU seconds of training.
        wall_s: wall seconds of training and of the evaluation.
        timesteps: steps of agents in training.
    """

    score: float
    low: float
    high: float
    cpu_s: float
    wall_s: float
    timesteps: int


@dataclass(frozen=True)
class TrialResult:
    """How a trial ended.

    Attributes:
        runs: what each seed reached; [] if the trial failed.
        reason: why it failed; None if it did not.
        is_refused: whether an argument or a setting was why.
        stopped_early: whether it was stopped because it could hardly win.
    """

    runs: list[SeedResult]
    reason: str | None = None
    stopped_early: bool = False
    is_refused: bool = False

    @property
    def score(self) -> float:
        """The mean over seeds."""
        return statistics.fmean(run.score for run in self.runs)

    @property
    def interval(self) -> tuple[float, float]:
        """The 95% interval of the score: over episodes for one seed, over seeds for several."""
        if len(self.runs) == 1:
            return self.runs[0].low, self.runs[0].high
        _, low, high = mean_interval([run.score for run in self.runs])
        return low, high

    @property
    def cpu_s(self) -> float:
        """The mean over seeds, so that one stopped after some of them costs no less."""
        return statistics.fmean(run.cpu_s for run in self.runs)

    @property
    def wall_s(self) -> float:
        """The sum over seeds."""
        return sum(run.wall_s for run in self.runs)

    @property
    def timesteps(self) -> int:
        """Those of the longest run."""
        return max(run.timesteps for run in self.runs)

    def write(self, folder: Path) -> None:
        """Write it into the folder of the trial, whole or not at all."""
        write_json(folder / RESULT, asdict(self))

    @staticmethod
    def remove(folder: Path) -> None:
        """Let the trial in the folder run again."""
        (folder / RESULT).unlink(missing_ok=True)

    @classmethod
    def read(cls, folder: Path) -> "TrialResult | None":
        """Return what was written; None if the trial has not ended."""
        try:
            values = json.loads((folder / RESULT).read_text())
        except FileNotFoundError:
            return None
        runs = [SeedResult(**run) for run in values.pop("runs")]
        return cls(runs=runs, **values)


class CurveReader:
    """Follows a run that trains: the evaluations that one process has logged of it.

    Args:
        run_folder: of the run.
        kind: "sampled" or "greedy".
        since: when the process was started. Until it has written metrics, those of an earlier one
            may still be cut back to the checkpoint.

    Attributes:
        curve: (CPU seconds, mean return) at each evaluation, those before a resumption included.
        timesteps: of the latest metrics.
    """

    def __init__(self, run_folder: Path, kind: str, since: float) -> None:
        self._path, self._kind, self._since = run_folder / METRICS, kind, since
        self._offset = 0
        self.curve: list[tuple[float, float]] = []
        self.timesteps = 0

    def update(self) -> bool:
        """Read what is new; return whether there was an evaluation."""
        count = len(self.curve)
        with contextlib.suppress(FileNotFoundError), self._path.open("rb") as file:
            if os.fstat(file.fileno()).st_mtime < self._since:
                return False
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):  # still being written
                    break
                self._offset += len(line)
                self._add(line)
        return len(self.curve) > count

    def _add(self, line: bytes) -> None:
        with contextlib.suppress(ValueError, KeyError, TypeError):  # damaged, or no evaluation
            metrics = json.loads(line)
            self.timesteps = metrics["timesteps"]
            self.curve.append((metrics["cpu_seconds"], metrics[f"eval/{self._kind}_return"]))


def read_curve(run_folder: Path, kind: str) -> list[tuple[float, float]]:
    """Return (CPU seconds, mean return) at each evaluation during training of a run.

    Args:
        run_folder: of the run; [] if it has not begun.
        kind: "sampled" or "greedy".
    """
    if not (run_folder / CONFIG).exists():
        return []
    with contextlib.suppress(CheckpointError):  # damaged, as by a full disk
        return [
            (line["cpu_seconds"], line[f"eval/{kind}_return"])
            for line in read_metrics(run_folder)
            if f"eval/{kind}_return" in line and "cpu_seconds" in line
        ]
    return []


def find_stall(folder: Path, since: float, stall_s: float) -> str | None:
    """Return why the trial in a folder is to be ended, as it hangs; None if it does not.

    Args:
        folder: of the trial.
        since: when its process started, in seconds of `time.time()`.
        stall_s: how long it may train without metrics; an evaluation that scores it may take three
            times as long.
    """
    files = [folder / PHASE, folder / METRICS, *folder.glob(f"seed-*/{METRICS}")]
    latest = since
    for file in files:
        with contextlib.suppress(FileNotFoundError):
            latest = max(latest, file.stat().st_mtime)
    limit_s = stall_s * (_SCORING_LIMITS if is_scoring(folder) else 1)
    return f"no progress within {limit_s:g} s" if time.time() - latest > limit_s else None
