"""The random generators that a whole process shares: `random`'s, NumPy's and torch's.

Environments should draw from their own `np_random`. Some draw from these; then worker processes
that are forked would all draw the same numbers, and the seed of a reset would not determine them.
"""

import contextlib
import random
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np


def seed_globals(seed: int) -> None:
    """Seed the generators of `random`, of NumPy and, if it is loaded, of torch on the CPU."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.default_generator.manual_seed(seed % 2**63)


def seed_globals_of_worker(worker: int) -> None:
    """Seed them in a new worker process, so that no two workers draw the same numbers.

    A forked worker continues from the state of its caller: a caller that seeds NumPy gets the same
    numbers again.
    """
    seed_globals(int(np.random.randint(2**31)) + worker)


class GlobalStreams:
    """Streams of `random` and NumPy's global generator that only this object's user draws from.

    Inside `active()` the generators continue these streams; outside they are as the rest of the
    process left them. Torch's are in `pufferlib.training.torch_state`.

    Args:
        seed: starts the streams.
    """

    def __init__(self, seed: int) -> None:
        self.seed(seed)

    def seed(self, seed: int) -> None:
        """Start both streams again from `seed`."""
        self._states: tuple[Any, Any] = (
            random.Random(seed).getstate(),
            np.random.RandomState(seed % 2**32).get_state(),
        )

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Draw from these streams in this block."""
        others = _swap(*self._states)
        try:
            yield
        finally:
            self._states = _swap(*others)


def _swap(python: Any, numpy: Any) -> tuple[Any, Any]:
    """Set the states of the global generators; return those before."""
    before = random.getstate(), np.random.get_state()
    random.setstate(python)
    np.random.set_state(numpy)
    return before
