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

    Medians are used throughout: a single update proves little. A rule asks `has` before it reads a
    metric that it does not need.

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

    def has(self, *names: str) -> bool:
        """Whether metrics were logged, all of them, with a finite value at least once."""
        return all(self.values(name) for name in names)

    def latest(self, name: str) -> float:
        """Return the last value of a metric."""
        return self.values(name)[-1]

    def early(self, name: str) -> float:
        """Return the median over the first tenth of the updates."""
        values = self.values(name)
        return median(values[: max(1, len(values) // 10)])

    def late(self, name: str) -> float:
        """Return the median over the last third of the updates."""
        values = self.values(name)
        return median(values[-max(1, len(values) // 3) :])

    def improves(self) -> bool:
        """Whether the reward of a step grows, or the return of an episode.

        The mean of the last third of the updates is compared with that of the first twentieth, or
        for returns, which are means over a hundred episodes already, the first fifth. The
        difference must be three times its standard error; that of returns is not reduced by their
        number, as neighbors share episodes.
        """
        rewards = self.values("rollout/reward_mean")
        returns = self.values("episode/episode_return")
        return _grows(rewards, 20, are_independent=True) or _grows(returns, 5, False)

    def setting(self, name: str, default: Any = None) -> Any:
        """Return a setting by its dotted name, `default` if the run has no such setting."""
        found: Any = self._config
        for key in name.split("."):
            if not isinstance(found, Mapping) or key not in found:
                return default
            found = found[key]
        return found


def _grows(values: list[float], share: int, are_independent: bool) -> bool:
    if len(values) < LEAST_UPDATES:
        return False
    first, last = values[: max(1, len(values) // share)], values[-(len(values) // 3) :]
    error = max(pstdev(last), pstdev(first))
    if are_independent:
        error *= math.sqrt(1 / len(first) + 1 / len(last))
    return fmean(last) - fmean(first) > max(3 * error, 1e-12)


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
