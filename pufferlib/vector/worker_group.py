"""The workers of a backend, wherever they run: what the caller asks of them."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pufferlib.annotations import Array, Options
from pufferlib.environment import Buffers
from pufferlib.vector.block import Description, common_description
from pufferlib.vector.restart import RestartRule, check_replacement
from pufferlib.vector.worker_tracker import WorkerTracker


class WorkerGroup(ABC):
    """Workers that each step their own environments.

    Which workers make up a batch and when a replacement starts are the same for every backend, and
    decided here; how commands are sent and answers received is the backend's.

    `order_step` and `order_all` send commands, `first_ready` waits, and `take_answer` returns the
    results. Each may raise a `WorkerError`, if a worker failed and is not replaced.

    Args:
        num_envs: how many environments there are.
        num_workers: among which they are divided evenly.
        timeout_s: seconds that a worker may take for a command; None: no limit.
        restart_rule: what to do when one fails.
    """

    def __init__(
        self,
        num_envs: int,
        num_workers: int,
        timeout_s: float | None,
        restart_rule: RestartRule,
    ) -> None:
        self._envs = [
            range(w * num_envs // num_workers, (w + 1) * num_envs // num_workers)
            for w in range(num_workers)
        ]
        self._timeout_s, self._tracker = timeout_s, WorkerTracker(num_workers, timeout_s)
        self._restart_rule = restart_rule
        self._starting: set[int] = set()  # workers that have not described their environments yet
        # By worker, the seeds and options of the last reset of all.
        self._resets: list[tuple[list[int | None], Options | None]] = []
        # The masked resets that requested the batch for which a replacement is reset.
        self._masked: dict[int, tuple[list[int | None], Options | None, NDArray[np.bool_]]] = {}

    def descriptions(self) -> tuple[Description, list[int]]:
        """Wait until all environments are made; return their description and the rows of each.

        Raises:
            ArgumentError: their spaces differ.
        """
        descriptions: list[Description] = []
        num_agents: list[int] = []
        for worker in self.first_ready(len(self._envs), None):
            of_worker, counts = self.take_answer(worker)
            descriptions += of_worker
            num_agents += counts
        self._description, self._num_agents = common_description(descriptions), num_agents
        return self._description, num_agents

    @abstractmethod
    def allocate_rows(self, rows: int, starts: list[int]) -> tuple[Buffers, Array]:
        """Allocate rows and their actions; those of worker i begin at `starts[i]`."""

    @abstractmethod
    def order_step(self, worker: int) -> None:
        """Order a worker to step its environments with its rows of the actions."""

    def order_all(self, command: str, arguments: Sequence[tuple[Any, ...]]) -> None:
        """Send another command to every worker, or to none if some of it cannot be pickled."""
        if command == "reset":
            self._resets = list(arguments)
            self._masked.clear()
        self._order(command, dict(enumerate(arguments)))

    def reset_some(self, arguments: Mapping[int, tuple[Any, ...]]) -> None:
        """Let workers reset some of their environments; replacements reset all.

        Args:
            arguments: by worker, the seeds of its environments, the options, and the mask.
        """
        old = {}
        for worker, own in arguments.items():
            if self._tracker.request_batch(worker):
                self._masked[worker] = own
                self._reset_if_due(worker)
            else:
                old[worker] = own
        self._order("reset", old)

    @abstractmethod
    def _order(self, command: str, arguments: Mapping[int, tuple[Any, ...]]) -> None:
        """Send a command to the workers that have arguments, or to none if some are unpicklable."""

    def first_ready(self, count: int, group_size: int | None) -> list[int]:
        """Wait until `count` workers are ready; return them sorted, no longer counted as ready.

        Args:
            count: how many.
            group_size: if given, only whole groups of that many neighbors, with `count` one group.
        """
        while True:
            taken = self._tracker.take(count, group_size)
            if taken is not None:
                return taken
            self._wait(self._tracker.wanted(count, group_size))

    def take_answer(self, worker: int) -> Any:
        """Return the infos or results of a worker, `Lost`, or None if it only said it is done."""
        return self._tracker.take_answer(worker)

    def begin_call(self) -> None:
        """Wait until every worker is idle, and every replacement has reset its environments."""
        self._masked.clear()
        for worker in self._tracker.begin_call():
            self._reset_if_due(worker)
        while any(self._tracker.doing):
            self._wait(1)

    def end_call(self) -> None:
        """Let replacements reset their environments again when their first batch is requested."""
        self._tracker.end_call()

    def drain(self) -> None:
        """Wait for all busy workers and drop their answers."""
        while any(self._tracker.doing):
            self._wait(1)
        self._tracker.forget()

    @abstractmethod
    def close(self) -> None:
        """End every worker. May be called again."""

    @abstractmethod
    def _wait(self, wanted: int) -> None:
        """Wait until `wanted` more workers are ready, one fails, or a short time has passed."""

    @abstractmethod
    def _order_reset(self, worker: int) -> None:
        """Order a replacement to reset its environments."""

    def _step_replacement(self, worker: int) -> bool:
        """If a worker is a replacement, let it reset its environments in place of a step."""
        if not self._tracker.request_batch(worker):
            return False
        self._masked.pop(worker, None)
        self._reset_if_due(worker)
        return True

    def _replacement_reset(
        self, worker: int
    ) -> tuple[list[int | None], Options | list[Options | None] | None]:
        """Return the seeds with which a replacement resets, and the options, of all or of each.

        They are those of a masked reset where its mask selects; other seeds are drawn.
        """
        seeds, options = self._resets[worker]
        drawn = self._restart_rule.new_seeds(seeds, worker, self._description.num_seeds)
        if worker not in self._masked:
            return drawn, options
        own_seeds, own_options, mask = self._masked[worker]
        for position in np.flatnonzero(mask).tolist():
            if own_seeds[position] is not None:
                drawn[position] = own_seeds[position]
        return drawn, [own_options if is_selected else options for is_selected in mask]

    def _reset_if_due(self, worker: int) -> None:
        """Order a replacement to reset its environments if its rows may be overwritten now."""
        if self._tracker.is_due_to_reset(worker):
            self._order_reset(worker)

    def _check_replacement(
        self, worker: int, descriptions: list[Description], num_agents: list[int]
    ) -> None:
        """Refuse the environments of a replacement if they differ from the old ones."""
        envs = self._envs[worker]
        check_replacement(worker, self._num_agents[envs.start : envs.stop], num_agents)
        common_description([self._description, *descriptions])

    def _doing(self, worker: int) -> str:
        return self._tracker.doing[worker] or "nothing"
