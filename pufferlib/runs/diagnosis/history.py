"""The metrics of a run as rules read them, and how a rule is declared."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median, pstdev
from typing import Any, NamedTuple

LEAST_UPDATES = 10  # of a run that can be judged


class Verdict(NamedTuple):
    """What a rule found.

    Attributes:
        evidence: the number that it rests on, in a sentence.
        change: which setting to change, by its flag.
    """

    evidence: str
    change: str


class Finding(NamedTuple):
    """A fault of a run.

    Attributes:
        name: of the fault.
        evidence: see `Verdict`.
        change: see `Verdict`.
    """

    name: str
    evidence: str
    change: str


class History:
    """The metrics and settings of a run.

    Medians are used throughout: a single update proves little.

    Args:
        records: the metrics of updates, in order.
        config: the settings, as in config.json.
    """

    def __init__(self, records: Sequence[Mapping[str, Any]], config: Mapping[str, Any]) -> None:
        self.records, self._config = records, config

    def values(self, name: str) -> list[float]:
        """Return the finite values of a metric, in order; empty if it was not logged."""
        found = [record[name] for record in self.records if name in record]
        return [value for value in found if math.isfinite(value)]

    def latest(self, name: str) -> float | None:
        """Return the last value of a metric, None if it was not logged."""
        return next(iter(self.values(name)[-1:]), None)

    def typical(self, name: str) -> float | None:
        """Return the median over all updates."""
        values = self.values(name)
        return median(values) if values else None

    def early(self, name: str) -> float | None:
        """Return the median over the first tenth of the updates."""
        values = self.values(name)
        return median(values[: max(1, len(values) // 10)]) if values else None

    def late(self, name: str) -> float | None:
        """Return the median over the last third of the updates."""
        values = self.values(name)
        return median(values[-max(1, len(values) // 3) :]) if values else None

    def improves(self) -> bool:
        """Whether the reward of a step or the return of an episode grows.

        It does if the mean of the last third is above that of the first fifth by twice the standard
        error of their difference.
        """
        return any(
            _grows(self.values(name)) for name in ("rollout/reward_mean", "episode/episode_return")
        )

    def setting(self, name: str, default: Any = None) -> Any:
        """Return a setting by its dotted name, `default` if the run has no such setting."""
        found: Any = self._config
        for key in name.split("."):
            if not isinstance(found, Mapping) or key not in found:
                return default
            found = found[key]
        return found


def _grows(values: list[float]) -> bool:
    if len(values) < LEAST_UPDATES:
        return False
    first, last = values[: len(values) // 5], values[-(len(values) // 3) :]
    error = math.hypot(pstdev(first) / math.sqrt(len(first)), pstdev(last) / math.sqrt(len(last)))
    return fmean(last) - fmean(first) > max(2 * error, 1e-12)


@dataclass(frozen=True)
class Rule:
    """A rule: finds one fault.

    Attributes:
        fault: its name.
        needs: metrics without which the fault cannot be judged.
        judge: returns a verdict, or None if the run does not have the fault. It is called only if
            every metric that it needs was logged.
    """

    fault: str
    needs: tuple[str, ...]
    judge: Callable[[History], Verdict | None]


def rule(fault: str, *needs: str) -> Callable[[Callable[[History], Verdict | None]], Rule]:
    """Return a decorator that makes a rule of a function; arguments as `Rule`."""
    return lambda judge: Rule(fault, needs, judge)
