"""How the caller and its workers wait for each other, in plain Python: the twin of `_gate.pyx`.

They share a table of 32-bit words: a line for each worker, and a last line for the caller. The
sender writes its message into a line, and then changes the word that the receiver waits for. The
receiver polls that word for a short time, yielding its core each time, and then sleeps until the
kernel reports that the word has changed (futex). So a hand-over between busy processes costs
microseconds, and a long wait costs no CPU time.

Where other programs keep every core busy, to yield is to lose the core for a slice of the
scheduler, 4 ms or more, which sleeping avoids: the kernel prefers a process that wakes up. So a
yield that takes that long makes the next waits sleep at once, more of them each time it happens
again.

Each word has one writer at a time, except the caller's bell, which every worker may ring. Each ring
writes a number that no other recent ring has, so that two rings are never mistaken for none.
"""

import ctypes
import os
import platform
import sys
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

LINE = 16  # words: a cache line, so that waiters do not disturb each other
_ORDER, _ORDERED, _ANSWER, _ANSWERED = range(4)  # of a worker's line
_BELL = 0  # of the caller's
_FUTEX_WAIT, _FUTEX_WAKE = 0, 1
_FUTEX = {"x86_64": 202, "aarch64": 98}.get(platform.machine()) if sys.platform == "linux" else None
_NAP_S = 0.0002  # if there is no futex
_SLOW_S = 0.002  # of a yield; a slice of the scheduler is longer
_FEWEST_SKIPS, _MOST_SKIPS = 128, 1024  # waits without polling, after a slow one
_MOST = 0x7FFFFFFF  # counters continue from 0
_libc = ctypes.CDLL(None, use_errno=True)


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class Gate:
    """Orders from the caller to workers, and their answers: small numbers other than 0.

    Args:
        words: int32 (workers + 1, LINE), zeros at first; shared memory.
        spin_us: how long to poll before sleeping.
    """

    def __init__(self, words: NDArray[np.int32], spin_us: int = 50) -> None:
        self._words, self._spin_s = words, spin_us / 1e6
        self._caller = len(words) - 1
        self._seen = [0] * self._caller  # answers that the caller has taken
        self._obeyed = [0] * self._caller  # orders that the worker has taken
        self._pending: set[int] = set()
        self._skips = self._last_skips = 0

    def order(self, worker: int, order: int) -> None:
        """Send a worker an order. If two are sent before it looks, it gets the later one twice."""
        self._pending.add(worker)
        line = self._words[worker]
        line[_ORDER] = order
        line[_ORDERED] = (int(line[_ORDERED]) + 1) & _MOST
        self._wake(worker, _ORDERED)

    def forget(self, worker: int) -> None:
        """Drop what a worker that has ended may have answered, and clear its line for the next."""
        self._pending.discard(worker)
        self._words[worker] = 0
        self._words[self._caller, _BELL] = -1  # the next one rings with the same numbers
        self._seen[worker] = 0

    def next_order(self, worker: int) -> int:
        """Return the next order, in the worker."""
        line, obeyed = self._words[worker], self._obeyed[worker]
        self._wait(worker, _ORDERED, obeyed, timeout_s=None)
        self._obeyed[worker] = (obeyed + 1) & _MOST
        return int(line[_ORDER])

    def answer(self, worker: int, answer: int) -> None:
        """Answer the last order, in the worker."""
        line = self._words[worker]
        line[_ANSWER] = answer
        line[_ANSWERED] = (int(line[_ANSWERED]) + 1) & _MOST
        # No other ring has this number until the counters overflow.
        ring = int(line[_ANSWERED]) * self._caller + worker + 1
        self._words[self._caller, _BELL] = ring & _MOST
        self._wake(self._caller, _BELL)

    def answers(self, wanted: int, timeout_s: float) -> list[tuple[int, int]]:
        """Wait for `wanted` new answers; return them, or fewer after the timeout.

        Args:
            wanted: at least 1, at most the number of workers with an unanswered order.
            timeout_s: how long to wait; 0: return at once.

        Returns:
            (worker, answer) of each, in the order of the workers.
        """
        end_s = time.monotonic() + timeout_s
        while True:
            bell = int(self._words[self._caller, _BELL])
            new = [w for w in self._pending if self._words[w, _ANSWERED] != self._seen[w]]
            left_s = end_s - time.monotonic()
            if len(new) >= wanted or left_s <= 0:
                break
            self._wait(self._caller, _BELL, bell, left_s)
        self._pending.difference_update(new)
        for worker in new:
            self._seen[worker] = int(self._words[worker, _ANSWERED])
        return [(worker, int(self._words[worker, _ANSWER])) for worker in sorted(new)]

    def _wait(self, line: int, word: int, seen: int, timeout_s: float | None) -> None:
        """Wait until a word differs from `seen`, or the timeout; may return early."""
        words, now_s = self._words, time.monotonic()
        spin_until_s = self._spin_until_s(now_s)
        end_s = None if timeout_s is None else now_s + timeout_s
        while words[line, word] == seen:
            if end_s is not None and now_s >= end_s:
                return
            if now_s < spin_until_s:
                now_s = self._yield_core(now_s)
                continue
            if _FUTEX is None:
                time.sleep(_NAP_S)
            else:
                self._futex(line, word, _FUTEX_WAIT, seen, None if end_s is None else end_s - now_s)
            now_s = time.monotonic()

    def _spin_until_s(self, now_s: float) -> float:
        """Return until when to poll; `now_s` in waits that do not."""
        if self._skips:
            self._skips -= 1
            return now_s
        self._last_skips //= 2
        return now_s + self._spin_s

    def _yield_core(self, before_s: float) -> float:
        """Let other processes run; return the time. If that took long, skip the next polls."""
        os.sched_yield()
        now_s = time.monotonic()
        if now_s - before_s >= _SLOW_S:
            self._last_skips = min(max(4 * self._last_skips, _FEWEST_SKIPS), _MOST_SKIPS)
            self._skips = self._last_skips
        return now_s

    def _wake(self, line: int, word: int) -> None:
        if _FUTEX is not None:
            self._futex(line, word, _FUTEX_WAKE, 2**31 - 1, None)

    def _futex(
        self, line: int, word: int, operation: int, value: int, timeout_s: float | None
    ) -> None:
        address = self._words.ctypes.data + (line * LINE + word) * 4
        timeout: Any = None
        if timeout_s is not None:
            timeout = ctypes.byref(_Timespec(int(timeout_s), int(timeout_s % 1 * 1e9)))
        _libc.syscall(
            ctypes.c_long(_FUTEX or 0), ctypes.c_void_p(address), operation, value, timeout, None, 0
        )
