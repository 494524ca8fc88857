"""Whether a worker that fails is replaced, how often, and with which seed."""

import contextlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from pufferlib.arguments import whole_number
from pufferlib.environment import Info
from pufferlib.exceptions import ArgumentError, WorkerError

_log = logging.getLogger(__name__)


@dataclass
class RestartRule:
    """Whether workers that fail are replaced, and a count of the restarts.

    A worker fails when one of its environments raises, when its process or its node is lost, or
    when it exceeds the timeout.

    >>> rule = RestartRule("restart", max_restarts=1)
    >>> rule.record(WorkerError("Worker 3 was lost.", worker=3))
    {'restarted': 'Worker 3 was lost.', 'worker': 3}
    >>> rule.num_restarts
    1

    Args:
        on_failure: "raise" or "restart".
        max_restarts: of all workers together; None: no limit.

    Attributes:
        num_restarts: restarts so far.

    Raises:
        ArgumentError: another value.
    """

    on_failure: str = "raise"
    max_restarts: int | None = 10
    num_restarts: int = field(default=0, init=False)
    _is_suspended: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        if self.on_failure not in ("raise", "restart"):
            raise ArgumentError(
                f"on_failure must be 'raise' or 'restart'; got {self.on_failure!r}."
            )
        if self.max_restarts is not None:
            self.max_restarts = whole_number("max_restarts", self.max_restarts)

    @property
    def restarts(self) -> bool:
        """Whether workers are replaced at all."""
        return self.on_failure == "restart"

    def record(self, error: WorkerError) -> Info:
        """Log `error` and count one more restart; return the info that reports it.

        Raises:
            WorkerError: `error`, if the worker is not to be replaced.
        """
        if not self.restarts:
            raise error
        if self._is_suspended:
            error.add_note("The worker was not replaced: a new one could not answer this call.")
            raise error
        if self.num_restarts == self.max_restarts:
            error.add_note(
                f"The worker was not replaced: max_restarts={self.max_restarts} is used up."
            )
            raise error
        self.num_restarts += 1
        limit = "" if self.max_restarts is None else f" of at most {self.max_restarts}"
        _log.warning("Restart %d%s: %s", self.num_restarts, limit, error)
        return {"restarted": str(error).partition("\n")[0], "worker": error.worker}

    @contextlib.contextmanager
    def suspended(self) -> Iterator[None]:
        """Raise every failure inside this context: a replacement could not give the answer."""
        self._is_suspended = True
        try:
            yield
        finally:
            self._is_suspended = False

    def new_seeds(
        self, seeds: Sequence[int | None], worker: int, num_seeds: int = 1
    ) -> list[int | None]:
        """Return the seeds to reset a replacement with, different ones after each restart.

        Args:
            seeds: of the worker's environments in the last reset of all.
            worker: the one that was replaced.
            num_seeds: how many seeds an environment uses, from its own on.

        Returns:
            Numbers below 2**31, `num_seeds` apart; None where `seeds` has None. A function of the
            arguments and of `num_restarts`.
        """
        entropy = [*(seed for seed in seeds if seed is not None), worker, self.num_restarts]
        first = int(np.random.SeedSequence(entropy).generate_state(1)[0]) % 2**30
        return [None if seed is None else first + i * num_seeds for i, seed in enumerate(seeds)]


def check_replacement(worker: int, before: Sequence[int], now: Sequence[int]) -> None:
    """Refuse new environments whose numbers of agents differ from those of the old ones."""
    if list(now) != list(before):
        raise ArgumentError(
            f"Worker {worker} was replaced, and its new environments have {list(now)} agents; the "
            f"old ones had {list(before)}. Make environments with the same number of agents every "
            f"time."
        )
