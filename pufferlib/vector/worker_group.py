"""The workers of a backend, wherever they run: what their caller asks of them."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from pufferlib.environment import Buffers
from pufferlib.vector.block import Description, common_description
from pufferlib.vector.ledger import Ledger
from pufferlib.vector.restart import check_replacement


class WorkerGroup(ABC):
    """What each worker was told to do, and what it has answered.

    Who waits for whom, and when a replacement begins, is the same wherever the workers are, and so
    stands here; how they are told and heard is the backend's.

    `order_step` and `order_all` begin, `first_ready` waits, `take_answer` says what came of it.
    Each may raise a `WorkerError`, where a worker failed and is not replaced.

    Args:
        num_envs: how many environments there are.
        num_workers: among which they are divided evenly.
        timeout_s: that a worker may take for an order; None: for ever.
    """

    def __init__(self, num_envs: int, num_workers: int, timeout_s: float | None) -> None:
        self._envs = [
            range(w * num_envs // num_workers, (w + 1) * num_envs // num_workers)
            for w in range(num_workers)
        ]
        self._timeout_s, self._ledger = timeout_s, Ledger(num_workers, timeout_s)
        self._new: set[int] = set()  # workers that have not said what their environments are
        self._seed: int | None = None

    def descriptions(self) -> tuple[Description, list[int]]:
        """Wait until every environment is made; return how all look, and the rows of each."""
        descriptions: list[Description] = []
        num_agents: list[int] = []
        for worker in sorted(self.first_ready(len(self._envs), None)):
            new, counts = self.take_answer(worker)
            descriptions += new
            num_agents += counts
        self._description, self._num_agents = common_description(descriptions), num_agents
        return self._description, num_agents

    @abstractmethod
    def share(self, rows: int, starts: list[int]) -> tuple[Buffers, NDArray[Any]]:
        """Allocate rows and their actions; a worker's begin at its own of `starts`."""

    @abstractmethod
    def order_step(self, worker: int) -> None:
        """Tell a worker to step its environments with its rows of the actions."""

    @abstractmethod
    def order_all(self, command: str, arguments: Sequence[tuple[Any, ...]]) -> None:
        """Tell every worker to do something else; tell none unless all of it can be sent."""

    def first_ready(self, count: int, group_size: int | None) -> list[int]:
        """Wait until `count` workers are ready; return them, no longer counted as ready.

        Args:
            count: how many.
            group_size: if given, only whole groups of that many neighbours, with `count` one group.
        """
        while True:
            taken = self._ledger.take(count, group_size)
            if taken is not None:
                return taken
            self._wait(self._ledger.wanted(count, group_size))

    def take_answer(self, worker: int) -> Any:
        """Return the infos or results of a worker, `Lost`, or None if it is just done."""
        return self._ledger.take_answer(worker)

    def settle(self) -> None:
        """Wait until every worker can be told anything, and every replacement has begun."""
        for worker in self._ledger.let_replacements_write():
            self._reset_if_due(worker)
        while any(self._ledger.doing):
            self._wait(1)

    def unsettle(self) -> None:
        """Let replacements begin again with the next step, and write no rows before."""
        self._ledger.hold_replacements()

    def drain(self) -> None:
        """Wait for all workers that are busy, and forget what they answered."""
        while any(self._ledger.doing):
            self._wait(1)
        self._ledger.forget()

    @abstractmethod
    def close(self) -> None:
        """End every worker. May be called again."""

    @abstractmethod
    def _wait(self, wanted: int) -> None:
        """Wait until `wanted` more are ready, or there is other news, or a short while."""

    @abstractmethod
    def _order_reset(self, worker: int) -> None:
        """Tell a replacement to begin its episodes."""

    def _reset_if_due(self, worker: int) -> None:
        """Begin the episodes of a replacement, once its rows may be written."""
        if self._ledger.is_due_to_reset(worker):
            self._order_reset(worker)

    def _check_replacement(
        self, worker: int, descriptions: list[Description], num_agents: list[int]
    ) -> None:
        """Refuse environments that are not like those before."""
        envs = self._envs[worker]
        check_replacement(worker, self._num_agents[envs.start : envs.stop], num_agents)
        common_description([self._description, *descriptions])

    def _doing(self, worker: int) -> str:
        return self._ledger.doing[worker] or "nothing"
