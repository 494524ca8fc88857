"""Samplers by name; what one draws for a trial depends on its seed and on earlier trials only."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial

from pufferlib.exceptions import UnknownNameError, suggestion
from pufferlib.sweep.pareto import ParetoSampler

SAMPLERS = ("tpe", "random", "pareto")


def make_sampler(name: str, seed: int) -> BaseSampler:
    """Return a sampler.

    Args:
        name: random; tpe, Optuna's multivariate tree of Parzen estimators (Bergstra et al. 2011,
            NeurIPS 24; for several objectives Ozaki et al. 2022, JAIR 74); or pareto, see
            `ParetoSampler`.
        seed: the same seed proposes the same settings after the same trials, also in another
            process.

    Raises:
        UnknownNameError: there is no such sampler.
    """
    if name == "random":
        return SeededByTrial(lambda own: RandomSampler(seed=own), seed)
    if name == "tpe":
        return SeededByTrial(_tpe, seed)
    if name == "pareto":
        return ParetoSampler(seed)
    raise UnknownNameError(
        f"There is no sampler {name!r}.{suggestion(name, SAMPLERS)} Samplers: "
        f"{', '.join(SAMPLERS)}."
    )


def _tpe(seed: int) -> BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # group
        return TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)


class SeededByTrial(BaseSampler):
    """Seeds a sampler for each trial, so a sweep that is resumed proposes the same as before.

    Args:
        make: returns a sampler with a seed. It must keep nothing of earlier trials.
        seed: of the sweep.
    """

    def __init__(self, make: Callable[[int], BaseSampler], seed: int) -> None:
        self._make, self._seed = make, seed
        self._sampler = make(seed)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        rng = np.random.default_rng([self._seed, trial.number])
        self._sampler = self._make(int(rng.integers(2**31)))
        self._sampler.before_trial(study, trial)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return self._sampler.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self._sampler.sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)
