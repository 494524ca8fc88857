"""Samplers by name; what one draws for a trial depends on its seed and on earlier trials only."""

import warnings

from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, TPESampler

from pufferlib.exceptions import UnknownNameError, suggestion
from pufferlib.sweep.pareto import ParetoSampler
from pufferlib.sweep.seeded import SeededByTrial, random_sampler

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
        return SeededByTrial(random_sampler, seed)
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
