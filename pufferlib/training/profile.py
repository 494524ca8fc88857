"""Profile the wall time by part, and measure the steps per second."""

import time
from collections import defaultdict, deque


class Profile:
    """Seconds spent in each named part, without those of the parts nested in it."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.inner_s = 0.0  # of the parts within the present one
        self._created_s = time.perf_counter()

    def part(self, name: str) -> "_Part":
        """Add the time of a `with` block to `name`, except the time of nested parts."""
        return _Part(self, name)

    @property
    def elapsed_s(self) -> float:
        """Seconds since this object was created."""
        return time.perf_counter() - self._created_s

    def shares(self) -> dict[str, float]:
        """Return the share of each part of the elapsed time; "other" is the rest."""
        elapsed_s = self.elapsed_s
        shares = {name: seconds / elapsed_s for name, seconds in self.seconds.items()}
        return {**shares, "other": max(0.0, 1 - sum(shares.values()))}


class _Part:
    """A block that is timed; takes half as long as a generator of `contextlib`."""

    __slots__ = ("_before_s", "_began_s", "_name", "_profile")

    def __init__(self, profile: Profile, name: str) -> None:
        self._profile, self._name = profile, name

    def __enter__(self) -> None:
        self._before_s, self._profile.inner_s = self._profile.inner_s, 0.0
        self._began_s = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        profile, taken_s = self._profile, time.perf_counter() - self._began_s
        profile.seconds[self._name] += taken_s - profile.inner_s
        profile.inner_s = self._before_s + taken_s


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
