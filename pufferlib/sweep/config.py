"""The settings of a sweep, which stand in [sweep] of a preset and behind --sweep. on a command."""

import math
import sys
from dataclasses import dataclass, field
from typing import Literal

from pufferlib.config import Config
from pufferlib.exceptions import SettingError

SCORE_SEED = 3_000_000
"""Of the first episode that scores a trial: far from the seeds of training, of evaluations during
it and of `puffer eval`."""
CONFIRM_SEED = 4_000_000
"""Of the first episode that scores a confirmation."""
CONFIRM_SEEDS_APART = 10_000
"""How far the seeds that a confirmation trains with are from the preset's."""

NO_LIMIT = sys.maxsize
"""Trials of a sweep that only its hours end."""


@dataclass(frozen=True)
class SweepConfig:
    """How a sweep searches, and how it scores a trial."""

    trials: int = 30
    """Trials to finish, the preset and failed ones counted; early-stopped ones, too. With
    sweep.hours and without this there is no such limit."""

    hours: float | None = None
    """Start no further trial after this many hours of the trials' wall time, a job's share each."""

    jobs: int | None = None
    """Trials side by side; each has its own part of the usable cores. None: one for each core with
    vec.backend Serial and without a GPU, otherwise one; with sweep.executor ray, as many as fit."""

    executor: Literal["local", "ray"] = "local"
    """Where trials run. ray: on the cluster that vec.backend Ray would use, each on one of its
    nodes: see docs/sweeps.md."""

    num_cpus: float = 1
    """CPUs of the Ray cluster that each trial takes: above 0, and whole if above 1."""

    num_gpus: float = 0
    """Its GPUs. Ray hides those of a node from trials that take none."""

    sampler: Literal["tpe", "random"] = "tpe"
    """What proposes settings. tpe: multivariate TPE for several objectives (Ozaki et al. 2022, JAIR
    74). random: independent draws. See docs/sweeps-samplers.md."""

    seed: int = 1
    """Seeds the sampler."""

    episodes: int = 32
    """Episodes of the evaluation that scores a trial, on seeds that training never sees."""

    greedy: bool = False
    """Score the most probable actions instead of sampled ones."""

    seeds: int = 1
    """Train each trial with so many seeds, one after another; the score is their mean, and so is
    the cost."""

    early_stop: float | None = 0.5
    """Stop a trial, after a third of its steps or once it has cost more than most, whose latest
    evaluation is below this quantile of the others' at the same cost: by default their median; see
    Golovin et al. 2017 (Google Vizier, KDD, 3.2.2). None: train every trial to its end."""

    stall_s: float = 600.0
    """End a trial that has logged no metrics for so long, or three times as long while it is
    scored; it failed."""

    confirm: int = 3
    """Train the points of the front again with so many fresh seeds before the result is reported; 0
    turns that off."""

    confirm_points: int = 5
    """So many points of the front at most, spread over its costs; the best score is among them."""

    def check(self) -> None:
        """Refuse impossible settings.

        Raises:
            SettingError: says which, and what is allowed.
        """
        for name, least in (
            *(("trials", 1), ("episodes", 2), ("seeds", 1)),
            *(("seed", 0), ("confirm", 0), ("confirm_points", 1)),
        ):
            if getattr(self, name) < least:
                raise SettingError(
                    f"sweep.{name} must be at least {least}; got {getattr(self, name)}."
                )
        if self.jobs is not None and self.jobs < 1:
            raise SettingError(f"sweep.jobs must be at least 1; got {self.jobs}.")
        if self.hours is not None and not self.hours > 0:
            raise SettingError(f"sweep.hours must be above 0; got {self.hours}.")
        for name in ("num_cpus", "num_gpus"):
            self._check_share(name)
        if not self.stall_s > 0:
            raise SettingError(f"sweep.stall_s must be above 0; got {self.stall_s}.")
        if self.early_stop is not None and not 0 < self.early_stop < 1:
            raise SettingError(
                f"sweep.early_stop must lie between 0 and 1, or be None; got {self.early_stop}."
            )

    def _check_share(self, name: str) -> None:
        """Refuse what Ray cannot assign, and what has no effect."""
        value = getattr(self, name)
        if value == getattr(SweepConfig, name):
            return
        if self.executor != "ray":
            raise SettingError(
                f"sweep.{name} has no effect with sweep.executor {self.executor}. Leave it out, or "
                f"use sweep.executor ray."
            )
        if not 0 < value < math.inf or (value > 1 and value % 1):
            raise SettingError(f"sweep.{name} must be above 0, and whole if above 1; got {value}.")


@dataclass(frozen=True)
class AllSettings(Config):
    """The settings of a run, and of the sweep."""

    sweep: SweepConfig = field(default_factory=SweepConfig)
