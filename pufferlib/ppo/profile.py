"""Where the wall time goes."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager


class Profile:
    """Seconds spent in each named part; those of a part within another are its own alone."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._began_s = time.perf_counter()
        self._inner_s = 0.0  # of the parts within the present one

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count the time inside towards `name`, but for that of parts in it."""
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
        """Seconds since this was made."""
        return time.perf_counter() - self._began_s

    def shares(self) -> dict[str, float]:
        """Return the share of each part in the time elapsed; "other" makes up the rest."""
        elapsed_s = self.elapsed_s
        shares = {name: seconds / elapsed_s for name, seconds in self.seconds.items()}
        return {**shares, "other": max(0.0, 1 - sum(shares.values()))}
