"""Seed a sampler for each trial."""

from collections.abc import Callable
from typing import Any

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial


class SeededByTrial(BaseSampler):
    """Seeds a sampler for each trial, so a sweep that is resumed proposes the same as before.

    Args:
        make: returns a sampler with a seed. It must keep nothing of earlier trials.
        seed: of the sweep.
    """

    def __init__(self, make: Callable[[int], BaseSampler], seed: int) -> None:
        self._make, self._seed = make, seed
        self._number = -1
        self._sampler = make(seed)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return self._of(trial).infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self._of(trial).sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        return self._of(trial).sample_independent(study, trial, param_name, param_distribution)

    def _of(self, trial: FrozenTrial) -> BaseSampler:
        """Return the sampler of a trial; of the same as before, with what it has drawn since."""
        if trial.number != self._number:
            rng = np.random.default_rng([self._seed, trial.number])
            self._sampler = self._make(int(rng.integers(2**31)))
            self._number = trial.number
        return self._sampler
