"""Tasks that imitate training: learning curves with a cost, noise and failures, in microseconds."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

SPACE: dict[str, BaseDistribution] = {
    "train.total_timesteps": IntDistribution(20_000, 500_000, log=True),
    "train.learning_rate": FloatDistribution(1e-4, 1e-2, log=True),
    "1 - train.gamma": FloatDistribution(0.001, 0.1, log=True),
    "1 - train.gae_lambda": FloatDistribution(0.01, 0.2, log=True),
    "train.entropy_coefficient": FloatDistribution(0.0, 0.03),
    "train.update_epochs": IntDistribution(1, 20, log=True),
    "log2(train.minibatches)": IntDistribution(0, 5),
    "log2(train.horizon)": IntDistribution(3, 7),
    "log2(vec.num_envs)": IntDistribution(2, 6),
    "log2(policy.hidden_size)": IntDistribution(4, 8),
    "policy.memory": CategoricalDistribution(["none", "lstm"]),
}
PRESET = {
    "train.total_timesteps": 200_000,
    "train.learning_rate": 1e-3,
    "1 - train.gamma": 0.01,
    "1 - train.gae_lambda": 0.05,
    "train.entropy_coefficient": 0.01,
    "train.update_epochs": 4,
    "log2(train.minibatches)": 2,
    "log2(train.horizon)": 5,
    "log2(vec.num_envs)": 4,
    "log2(policy.hidden_size)": 6,
    "policy.memory": "none",
}
EVALUATIONS = 10


@dataclass(frozen=True)
class Kind:
    """What kind of task it is.

    Attributes:
        needed: timesteps that the best settings need for 63% of the score.
        delay: exponent of the curve; above 1 nothing is learned for a while.
        width: how far settings may be from the best, in parts of their range.
        noise: standard deviation of a score at its noisiest, in parts of the score.
    """

    needed: float
    delay: float
    width: float
    noise: float


KINDS = {
    "easy": Kind(needed=20_000, delay=1.5, width=0.6, noise=0.05),
    "slow": Kind(needed=300_000, delay=1.0, width=0.5, noise=0.05),
    "cliff": Kind(needed=80_000, delay=4.0, width=0.35, noise=0.15),
}


@dataclass(frozen=True)
class Outcome:
    """What a trial would record; `true_score` is the score without noise."""

    score: float
    cost: float
    curve: list[tuple[float, float]]
    failed: bool
    true_score: float


class Task:
    """A task with best settings that its seed draws.

    Args:
        kind: see `KINDS`.
        seed: draws the best settings.
    """

    def __init__(self, kind: str, seed: int) -> None:
        self._kind = KINDS[kind]
        rng = np.random.default_rng([seed, 1])
        self._best = rng.uniform(0.25, 0.75, 8)
        self._weight = rng.dirichlet(np.ones(8)) * 8
        self._memory_helps = rng.random() < 0.3

    def run(self, params: dict[str, Any], seed: int) -> Outcome:
        """Return the outcome of training with `params`."""
        kind, rng = self._kind, np.random.default_rng([seed, 2])
        steps = params["train.total_timesteps"]
        epochs = params["train.update_epochs"]
        unit = {name: _unit(name, params[name]) for name in SPACE if name != "policy.memory"}
        hidden = 2.0 ** (params["log2(policy.hidden_size)"] - 6)
        # More epochs want a lower learning rate.
        where = np.array(
            [
                unit["train.learning_rate"] + 0.3 * (unit["train.update_epochs"] - 0.5),
                unit["1 - train.gamma"],
                unit["1 - train.gae_lambda"],
                unit["train.entropy_coefficient"],
                unit["log2(train.minibatches)"],
                unit["log2(train.horizon)"],
                unit["log2(vec.num_envs)"],
                unit["log2(policy.hidden_size)"],
            ]
        )
        distance = self._weight * ((where - self._best) / kind.width) ** 2
        quality = float(np.exp(-distance[:4].sum() / 4))
        speed = float(np.exp(-distance[4:].sum() / 4)) * epochs**0.4 * (0.3 + 0.7 * quality)
        memory = params["policy.memory"] == "lstm"
        top = quality * (1.0 if memory == self._memory_helps else 0.85)
        shares = np.arange(1, EVALUATIONS + 1) / EVALUATIONS
        true = top * (1 - np.exp(-((shares * steps * speed / kind.needed) ** kind.delay)))
        wobble = kind.noise * (0.2 + 4 * true * (1 - true))
        scores = true + wobble * rng.standard_normal(EVALUATIONS)
        update = 20e-6 * epochs * hidden**1.3 * (3.0 if memory else 1.0)
        forward = 40e-6 * (1 + 8 / 2 ** params["log2(vec.num_envs)"]) * (2.0 if memory else 1.0)
        cost = steps * (20e-6 + forward + update) * float(np.exp(0.03 * rng.standard_normal()))
        danger = unit["train.learning_rate"] + 0.4 * unit["train.update_epochs"] - 1.15
        failed = bool(rng.random() < 6 * danger)
        if failed:
            cost *= float(rng.uniform(0.1, 1.0))
        curve = [(cost * float(s), float(y)) for s, y in zip(shares, scores, strict=True)]
        return Outcome(float(scores[-1]), cost, curve, failed, float(true[-1]))


def _unit(name: str, value: float) -> float:
    distribution = SPACE[name]
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    low, high = distribution.low, distribution.high
    if distribution.log:
        return float(np.log(value / low) / np.log(high / low))
    return (value - low) / (high - low)
