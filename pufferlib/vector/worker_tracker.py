"""Track what each worker is doing, which workers are ready, and which are being replaced.

It does not matter what the workers are: processes and Ray actors are tracked alike.
"""

import time
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from pufferlib.environment import Info

_AWAY_S = 1.0  # between two calls of `late`: the caller was suspended, or did something else


@dataclass(frozen=True)
class Lost:
    """The answer in place of a worker that failed and is being replaced; `info` has the reason."""

    info: Info


class ReplacementState(Enum):
    """How far a replacement is, from its start to its first batch.

    The rows of a worker that failed report the loss until the caller asks for the next batch, and
    only then may its replacement reset its environments, which overwrites them. A call into the
    environments (`call`, `get_attr` ...) needs them reset earlier: then the rows are restored when
    the call ends, and the environments are reset once more for the batch.
    """

    STARTING = auto()  # makes its environments
    MADE = auto()  # has made them, and waits
    STARTING_FOR_CALL = auto()  # makes its environments, and a call waits for it
    RESETTING_FOR_CALL = auto()  # is due to reset its environments, or resets them
    READY_FOR_CALL = auto()  # has reset them
    STARTING_FOR_BATCH = auto()  # makes its environments, and the caller waits for the batch
    RESETTING_FOR_BATCH = auto()  # is due to reset its environments, or resets them
    DONE = auto()  # its batch can be taken: from here on it is a worker like any other


class ReplacementEvent(Enum):
    """What changes the state of a replacement."""

    MADE = auto()  # its environments are made
    CALL_BEGAN = auto()  # the caller reaches into all environments
    CALL_ENDED = auto()
    BATCH_REQUESTED = auto()  # the caller answered the batch that reported the loss
    RESET = auto()  # its environments are reset
    FAILED = auto()  # it failed itself, and the next one is started


_State, _Event = ReplacementState, ReplacementEvent
REPLACEMENT_TRANSITIONS: dict[ReplacementState, dict[ReplacementEvent, ReplacementState]] = {
    _State.STARTING: {
        _Event.MADE: _State.MADE,
        _Event.CALL_BEGAN: _State.STARTING_FOR_CALL,
        _Event.CALL_ENDED: _State.STARTING,
        _Event.BATCH_REQUESTED: _State.STARTING_FOR_BATCH,
        _Event.FAILED: _State.STARTING,
    },
    _State.MADE: {
        _Event.CALL_BEGAN: _State.RESETTING_FOR_CALL,
        _Event.CALL_ENDED: _State.MADE,
        _Event.BATCH_REQUESTED: _State.RESETTING_FOR_BATCH,
        _Event.FAILED: _State.STARTING,
    },
    _State.STARTING_FOR_CALL: {
        _Event.MADE: _State.RESETTING_FOR_CALL,
        _Event.CALL_ENDED: _State.STARTING,
        _Event.FAILED: _State.STARTING_FOR_CALL,
    },
    _State.RESETTING_FOR_CALL: {
        _Event.CALL_ENDED: _State.MADE,
        _Event.RESET: _State.READY_FOR_CALL,
        _Event.FAILED: _State.STARTING_FOR_CALL,
    },
    _State.READY_FOR_CALL: {
        _Event.CALL_ENDED: _State.MADE,
        _Event.FAILED: _State.STARTING_FOR_CALL,
    },
    _State.STARTING_FOR_BATCH: {
        _Event.MADE: _State.RESETTING_FOR_BATCH,
        _Event.FAILED: _State.STARTING_FOR_BATCH,
    },
    _State.RESETTING_FOR_BATCH: {
        _Event.RESET: _State.DONE,
        _Event.FAILED: _State.STARTING_FOR_BATCH,
    },
}
_RESETTING = (_State.RESETTING_FOR_CALL, _State.RESETTING_FOR_BATCH)


class WorkerTracker:
    """What each worker is doing, and what it has answered.

    Args:
        num_workers: how many.
        timeout_s: seconds that a worker may take for a command; None: no limit.

    Attributes:
        doing: by worker, the command that it has not finished, or None.
        since_s: by worker, when that command was sent, on the monotonic clock.
        ready: workers whose answers can be taken, in the order in which they finished.
        replacements: the state of each worker that is being replaced.
    """

    def __init__(self, num_workers: int, timeout_s: float | None) -> None:
        self._timeout_s = timeout_s
        self.doing: list[str | None] = [None] * num_workers
        self.since_s = [0.0] * num_workers
        self.ready: list[int] = []
        self.replacements: dict[int, ReplacementState] = {}
        self._answers: list[Any] = [None] * num_workers
        self._looked_s = time.monotonic()

    def began(self, worker: int, command: str) -> None:
        """Record that a worker was sent a command."""
        self.doing[worker], self.since_s[worker] = command, time.monotonic()

    def finished(self, worker: int, answer: object) -> None:
        """Record that a worker has finished its command."""
        self.doing[worker] = None
        if self.replacements and self.replacements.get(worker) in _RESETTING:
            self._advance(worker, ReplacementEvent.RESET)
            if worker in self.replacements:  # it was reset for a call, which comes next
                return
        self._answers[worker] = answer
        self.ready.append(worker)

    def failed(self, worker: int, info: Info) -> None:
        """Record that a worker has failed and that a new one is being started in its place.

        Its answer is `Lost`, once: if a replacement fails in turn, nothing more is lost.
        """
        if worker in self.replacements:
            self._advance(worker, ReplacementEvent.FAILED)
            return
        self.replacements[worker] = ReplacementState.STARTING
        self._answers[worker] = Lost(info)
        if worker not in self.ready:
            self.ready.append(worker)

    def request_batch(self, worker: int) -> bool:
        """Return whether a worker is a replacement, which must not be sent the caller's actions.

        They were meant for its predecessor. Its first batch is requested by this.
        """
        if worker not in self.replacements:
            return False
        self._advance(worker, ReplacementEvent.BATCH_REQUESTED)
        return True

    def made_replacement(self, worker: int) -> None:
        """Record that a replacement has made its environments."""
        self.doing[worker] = None
        self._advance(worker, ReplacementEvent.MADE)

    def begin_call(self) -> list[int]:
        """Let replacements reset their environments for a call; return which workers they are."""
        for worker in self.replacements:
            self._advance(worker, ReplacementEvent.CALL_BEGAN)
        return list(self.replacements)

    def end_call(self) -> None:
        """Let replacements reset their environments once more when their batch is requested."""
        for worker in self.replacements:
            self._advance(worker, ReplacementEvent.CALL_ENDED)

    def is_due_to_reset(self, worker: int) -> bool:
        """Return whether a worker is a replacement that should reset now."""
        return self.doing[worker] is None and self.replacements.get(worker) in _RESETTING

    def _advance(self, worker: int, event: ReplacementEvent) -> None:
        state = REPLACEMENT_TRANSITIONS[self.replacements[worker]][event]
        if state is ReplacementState.DONE:
            del self.replacements[worker]
        else:
            self.replacements[worker] = state

    def take(self, count: int, group_size: int | None) -> list[int] | None:
        """Return `count` ready workers, sorted, and count them as ready no longer; None if too few.

        Args:
            count: how many.
            group_size: if given, only whole groups of that many neighbors, with `count` one group.
        """
        if len(self.ready) < count:
            return None
        if group_size is None:
            taken = sorted(self.ready[:count])
        else:
            for worker in self.ready:  # the group of the one that has waited longest first
                first = worker - worker % group_size
                taken = list(range(first, first + group_size))
                if all(member in self.ready for member in taken):
                    break
            else:
                return None
        self.ready = [worker for worker in self.ready if worker not in taken]
        return taken

    def wanted(self, count: int, group_size: int | None) -> int:
        """Return how many more workers must finish before `take` can succeed, at least 1."""
        is_any_group = group_size in (None, len(self.doing))
        return max(1, count - len(self.ready)) if is_any_group else 1

    def take_answer(self, worker: int) -> Any:
        """Return the answer of a worker and forget it; None if it only said that it is done."""
        answer, self._answers[worker] = self._answers[worker], None
        return answer

    def forget(self) -> None:
        """Forget all answers and replacements, when no worker is busy."""
        self.ready.clear()
        self.replacements.clear()
        self._answers = [None] * len(self._answers)

    def left_s(self, most_s: float | None) -> float | None:
        """Return how long to wait before some worker may be late, at most `most_s`."""
        if self._timeout_s is None:
            return most_s
        since_s = [since for since, doing in zip(self.since_s, self.doing, strict=True) if doing]
        left_s = min(since_s, default=time.monotonic()) + self._timeout_s - time.monotonic()
        left_s = max(0.0, left_s) + 0.001
        return left_s if most_s is None else min(left_s, most_s)

    def late(self) -> list[int]:
        """Return the workers that have exceeded the timeout.

        Time during which the caller does not look is not counted: it may have been suspended
        (Ctrl+Z), and the workers with it.
        """
        if self._timeout_s is None:
            return []
        now_s = time.monotonic()
        away_s, self._looked_s = now_s - self._looked_s, now_s
        if away_s > _AWAY_S:
            self.since_s = [min(since_s + away_s, now_s) for since_s in self.since_s]
        earliest_s = now_s - self._timeout_s
        return [
            worker
            for worker, doing in enumerate(self.doing)
            if doing is not None and self.since_s[worker] < earliest_s
        ]
