"""What the caller knows of its workers: who was told what, who is ready, who is being replaced.

Whatever the workers are and however they are spoken to: `Workers` and `RayWorkers` each keep one.
"""

import time
from dataclasses import dataclass
from typing import Any

import cloudpickle

from pufferlib.environment import Info
from pufferlib.exceptions import ArgumentError

_AWAY_S = 1.0  # between two looks at who is late: the caller was stopped, or did something else


@dataclass(frozen=True)
class Lost:
    """The answer of a worker that failed and is being replaced; `info` tells why."""

    info: Info


@dataclass
class Replacement:
    """A worker that takes the place of one that failed, until its first batch is taken.

    Its rows tell what was lost until the next batch is asked for: only then may it write them.
    """

    is_made: bool = False  # its environments are
    may_write: bool = False
    is_back: bool = False  # its episodes have begun
    is_asked: bool = False  # for a batch
    infos: Any = None


class Ledger:
    """What each worker was told to do, and what it has answered.

    Args:
        num_workers: how many.
        timeout_s: that a worker may take for an order; None: for ever.

    Attributes:
        doing: by worker, what it was told to do and has not finished, or None.
        since_s: by worker, when it was told, on the monotonic clock.
        ready: workers whose answers can be taken, in the order in which they became so.
    """

    def __init__(self, num_workers: int, timeout_s: float | None) -> None:
        self._timeout_s = timeout_s
        self.doing: list[str | None] = [None] * num_workers
        self.since_s = [0.0] * num_workers
        self.ready: list[int] = []
        self._answers: list[Any] = [None] * num_workers
        self._replacements: dict[int, Replacement] = {}
        self._looked_s = time.monotonic()

    def began(self, worker: int, what: str) -> None:
        """Note that a worker was told to do something."""
        self.doing[worker], self.since_s[worker] = what, time.monotonic()

    def finished(self, worker: int, answer: Any) -> None:
        """Note that a worker has done what it was told."""
        self.doing[worker] = None
        replacement = self._replacements.get(worker)
        if replacement is not None and not replacement.is_back:
            replacement.is_back, replacement.infos = True, answer
            self._finish_replacing(worker)
        else:
            self._answers[worker] = answer
            self.ready.append(worker)

    def lost(self, worker: int, info: Info) -> None:
        """Note that a worker has failed and that another is being started in its place."""
        if worker in self._replacements:  # the one that failed was a replacement itself
            self._replacements[worker].is_made = self._replacements[worker].is_back = False
            return
        self._replacements[worker] = Replacement()
        self._answers[worker] = Lost(info)
        if worker not in self.ready:
            self.ready.append(worker)

    def ask_replacement(self, worker: int) -> bool:
        """Return whether a worker is a replacement, that is asked for its first batch with this.

        It is not to be told to step: what the caller says was meant for the one before.
        """
        replacement = self._replacements.get(worker)
        if replacement is None:
            return False
        replacement.is_asked = replacement.may_write = True
        self._finish_replacing(worker)
        return True

    def made_replacement(self, worker: int) -> None:
        """Note that the environments of a replacement are made."""
        self.doing[worker] = None
        self._replacements[worker].is_made = True

    def let_replacements_write(self) -> list[int]:
        """Let them begin their episodes before they are asked for a batch; return who they are."""
        for replacement in self._replacements.values():
            replacement.may_write = True
        return list(self._replacements)

    def hold_replacements(self) -> None:
        """Let them begin their episodes once more when asked for a batch, and write no rows before.

        None has been asked yet.
        """
        for replacement in self._replacements.values():
            replacement.may_write = replacement.is_back = False

    def is_due_to_reset(self, worker: int) -> bool:
        """Return whether a worker is a replacement that is to begin its episodes now."""
        replacement = self._replacements.get(worker)
        if replacement is None or self.doing[worker] is not None:
            return False
        return replacement.is_made and replacement.may_write and not replacement.is_back

    def _finish_replacing(self, worker: int) -> None:
        """Let a worker that is back be ready, once it is asked for a batch."""
        replacement = self._replacements[worker]
        if replacement.is_back and replacement.is_asked:
            del self._replacements[worker]
            self._answers[worker] = replacement.infos
            self.ready.append(worker)

    def take(self, count: int, group_size: int | None) -> list[int] | None:
        """Return `count` workers that are ready, no longer counted as such; None if too few are.

        Args:
            count: how many.
            group_size: if given, only whole groups of that many neighbours, with `count` one group.
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
        """Return how many more must be ready before it is worth to `take` again, at least 1."""
        is_any_group = group_size in (None, len(self.doing))
        return max(1, count - len(self.ready)) if is_any_group else 1

    def take_answer(self, worker: int) -> Any:
        """Return what a worker answered, None if only that it is done."""
        answer, self._answers[worker] = self._answers[worker], None
        return answer

    def forget(self) -> None:
        """Forget what was answered, once nobody is busy."""
        self.ready.clear()
        self._replacements.clear()
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
        """Return the workers that take longer than the timeout for what they were told.

        Time in which the caller does not look does not count: it may have been stopped (Ctrl+Z),
        and the workers with it.
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


def pickled(what: str, value: Any) -> bytes:
    """Return `value` as bytes for a worker; `what` names it in the error.

    Raises:
        ArgumentError: it cannot be pickled.
    """
    try:
        data: bytes = cloudpickle.dumps(value)
    except Exception as error:  # pickling may fail in any way that an object's author chose
        raise ArgumentError(
            f"{what} must be picklable, to be sent to a worker process: "
            f"{type(error).__name__}: {error}. Make that object inside the environment, or use the "
            f"Serial backend."
        ) from error
    return data
