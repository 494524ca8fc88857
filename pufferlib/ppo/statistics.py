"""What episodes report, averaged; and the running scale of rewards."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from numbers import Real
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pufferlib.environment import Info

_WINDOW = 100  # episodes


class EpisodeStatistics:
    """Means over the last hundred episodes of whatever numbers infos hold, whatever their names."""

    def __init__(self) -> None:
        self._values: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=_WINDOW))

    def add(self, infos: Iterable[Info]) -> None:
        """Take in the infos of a step; what is not a number is passed over."""
        for info in infos:
            for key, value in info.items():
                if isinstance(value, (Real, np.number)):
                    self._values[key].append(float(value))

    def means(self) -> dict[str, float]:
        """Return the mean of each number."""
        return {key: sum(values) / len(values) for key, values in sorted(self._values.items())}

    def state_dict(self) -> dict[str, list[float]]:
        """Return what a checkpoint keeps: the last hundred of each number, the oldest first."""
        return {key: list(values) for key, values in self._values.items()}

    def load_state_dict(self, state: dict[str, list[float]]) -> None:
        """Go on from the episodes of `state_dict`, in place of those here."""
        self._values.clear()
        for key, values in state.items():
            self._values[key].extend(values)


class RewardScale:
    """Divides rewards by the running deviation of their discounted sum.

    Engstrom et al. 2020 (arXiv:2005.12729), as in Gymnasium's NormalizeReward: the sum of each row
    is not restarted by a division, only by the end of its episode. The running variance is Chan's.
    """

    def __init__(self, rows: int, gamma: float) -> None:
        self._gamma = gamma
        self._sums = np.zeros(rows)
        self._count, self._mean, self._variance = 1e-4, 0.0, 1.0
        self._since = np.zeros(3)  # of the sums since `agree`: count, sum, sum of squares

    def __call__(
        self,
        rewards: NDArray[np.float32],
        ends: NDArray[np.bool_],
        acting: NDArray[np.bool_],
        rows: slice = slice(None),
    ) -> NDArray[np.float32]:
        """Return scaled rewards (B,).

        Args:
            rewards: of a step.
            ends: the rows whose episode ended with them.
            acting: the rows in which an agent had acted; others count for nothing.
            rows: which of all rows these are.
        """
        sums = self._sums[rows]  # a view
        sums[acting] = sums[acting] * self._gamma + rewards[acting]
        if acting.any():
            seen = sums[acting]
            self._merge(len(seen), seen.mean(), seen.var())
            self._since += len(seen), seen.sum(), (seen**2).sum()
        sums[ends] = 0
        return (rewards / np.sqrt(self._variance + 1e-8)).astype(np.float32)

    def agree(self, total: Callable[[Tensor], Tensor], device: torch.device) -> None:
        """Take in what other processes have since the last time.

        Args:
            total: sums a tensor over all processes that learn together.
            device: where it does.
        """
        own = torch.tensor(self._since, device=device)
        count, summed, squares = (total(own) - own).tolist()
        self._since[:] = 0
        if count > 0:
            mean = summed / count
            self._merge(count, mean, max(0.0, squares / count - mean**2))

    def _merge(self, count: float, mean: float, variance: float) -> None:
        """Update the running mean and variance by those of `count` more."""
        total, apart = self._count + count, mean - self._mean
        self._variance = (
            self._variance * self._count + variance * count + apart**2 * self._count * count / total
        ) / total
        self._mean += apart * count / total
        self._count = total

    def restart(self) -> None:
        """Forget the sums of episodes under way: all of them are over."""
        self._sums[:] = 0

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps: the scale, not the sums of episodes under way."""
        return {
            "count": float(self._count),
            "mean": float(self._mean),
            "variance": float(self._variance),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up the scale of `state_dict`, at the start of new episodes."""
        self.restart()
        self._since[:] = 0
        self._count, self._mean = state["count"], state["mean"]
        self._variance = state["variance"]
