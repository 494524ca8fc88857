"""Where the wall time goes."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager


class Profile:
    """Seconds spent in each named part; parts do not nest, so they add up."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._began_s = time.perf_counter()

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count the time inside towards `name`."""
        began_s = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - began_s

    @property
    def elapsed_s(self) -> float:
        """Seconds since this was made."""
        return time.perf_counter() - self._began_s

    def shares(self) -> dict[str, float]:
        """Return the share of each part in the time elapsed; "other" makes up the rest."""
        elapsed_s = self.elapsed_s
        shares = {name: seconds / elapsed_s for name, seconds in self.seconds.items()}
        return {**shares, "other": max(0.0, 1 - sum(shares.values()))}
