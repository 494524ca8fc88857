"""Profile the wall time by part, and measure the steps per second."""

import time
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager


class Profile:
    """Seconds spent in each named part, without those of the parts nested in it."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._created_s = time.perf_counter()
        self._inner_s = 0.0  # of the parts within the present one

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Add the time of the block to `name`, except the time of nested parts."""
        before_s, self._inner_s = self._inner_s, 0.0
        began_s = time.perf_counter()
        try:
            yield
        finally:
            taken_s = time.perf_counter() - began_s
            self.seconds[name] += taken_s - self._inner_s
            self._inner_s = before_s + taken_s

    @property
    def elapsed_s(self) -> float:
        """Seconds since this object was created."""
        return time.perf_counter() - self._created_s

    def shares(self) -> dict[str, float]:
        """Return the share of each part of the elapsed time; "other" is the rest."""
        elapsed_s = self.elapsed_s
        shares = {name: seconds / elapsed_s for name, seconds in self.seconds.items()}
        return {**shares, "other": max(0.0, 1 - sum(shares.values()))}


class Throughput:
    """Steps per second over the latest updates; a mean since the start would hide a slowdown.

    Args:
        timesteps: taken so far.
        updates: how many updates are covered.
    """

    def __init__(self, timesteps: int = 0, updates: int = 10) -> None:
        self._marks = deque([(time.perf_counter(), timesteps)], maxlen=updates + 1)

    def add(self, timesteps: int) -> None:
        """Note how many steps have been taken at the end of an update."""
        self._marks.append((time.perf_counter(), timesteps))

    def skip(self, seconds: float) -> None:
        """Leave out the `seconds` that have just passed."""
        self._marks = deque(
            [(mark_s + seconds, timesteps) for mark_s, timesteps in self._marks],
            maxlen=self._marks.maxlen,
        )

    @property
    def steps_per_second(self) -> float:
        """Steps per second of wall time; 0 before the first update."""
        (began_s, before), (ended_s, after) = self._marks[0], self._marks[-1]
        return (after - before) / (ended_s - began_s) if after > before else 0.0
