"""Samplers."""

from optuna.samplers import BaseSampler, RandomSampler, TPESampler


def make_sampler(name: str, seed: int) -> BaseSampler:
    """Return a sampler."""
    if name == "random":
        return RandomSampler(seed=seed)
    return TPESampler(seed=seed, constant_liar=True, multivariate=True, group=True)
