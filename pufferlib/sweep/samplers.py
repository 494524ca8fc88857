"""Samplers by name; what one draws for a trial depends on its seed and on earlier trials only."""

import warnings

from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, RandomSampler, TPESampler

from pufferlib.exceptions import UnknownNameError, suggestion
from pufferlib.sweep.seeded import SeededByTrial

SAMPLERS = ("tpe", "random")


def make_sampler(name: str, seed: int) -> BaseSampler:
    """Return a sampler.

    Args:
        name: random; or tpe, Optuna's multivariate tree of Parzen estimators (Bergstra et al. 2011,
            NeurIPS 24; for several objectives Ozaki et al. 2022, JAIR 74).
        seed: the same seed proposes the same settings after the same trials, also in another
            process.

    Raises:
        UnknownNameError: there is no such sampler.
    """
    if name == "random":
        return SeededByTrial(_random, seed)
    if name == "tpe":
        return SeededByTrial(_tpe, seed)
    raise UnknownNameError(
        f"There is no sampler {name!r}.{suggestion(name, SAMPLERS)} Samplers: "
        f"{', '.join(SAMPLERS)}."
    )


def _random(seed: int) -> BaseSampler:
    return RandomSampler(seed=seed)


def _tpe(seed: int) -> BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # group
        return TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)
