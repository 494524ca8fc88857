"""Means over recent episodes, and the running scale of rewards."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from numbers import Number

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pufferlib.annotations import StateDict
from pufferlib.arguments import brief
from pufferlib.environment import Info
from pufferlib.exceptions import ContractError

_WINDOW = 100  # episodes


class EpisodeStatistics:
    """Means over the last hundred episodes of the numbers in infos, by their keys.

    What Gymnasium's RecordEpisodeStatistics reports counts as `episode_return` and
    `episode_length`, the names of `pufferlib.wrappers.EpisodeStats`.

    Attributes:
        are_current: whether all episodes here began since the task changed. Until those that were
            under way then have ended, all that end since count.
    """

    def __init__(self) -> None:
        self._values: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=_WINDOW))
        self.are_current = True

    def begin_task(self) -> None:
        """Forget all episodes, as the task of those to come is another one."""
        self._values.clear()
        self.are_current = False

    def leave_task_before(self) -> None:
        """Forget what has ended since `begin_task`: of the task before no episode is left."""
        if not self.are_current:
            self._values.clear()
            self.are_current = True

    def add(self, infos: Iterable[Info]) -> None:
        """Add the infos of a step; values that are not numbers are ignored.

        Python's, NumPy's and torch's numbers and flags count, and arrays of no dimension.

        Raises:
            ContractError: a number that is too large for a float, or complex; names its key.
        """
        for info in infos:
            for key, value in info.items():
                number = _number(key, value)
                if number is not None:
                    self._values[str(key)].append(number)
            if "episode_return" not in info:
                self._add_recorded(info)

    def _add_recorded(self, info: Info) -> None:
        """Add what RecordEpisodeStatistics reports, whatever its `stats_key`."""
        for place, value in info.items():
            if isinstance(value, dict) and {"r", "l"} <= value.keys():
                for key, name in (("r", "episode_return"), ("l", "episode_length")):
                    number = _number(f"{place}/{key}", value[key])
                    if number is not None:
                        self._values[name].append(number)

    def means(self) -> dict[str, float]:
        """Return the mean of each number."""
        return {key: sum(values) / len(values) for key, values in sorted(self._values.items())}

    def state_dict(self) -> dict[str, list[float]]:
        """Return what a checkpoint keeps: the last hundred of each number, the oldest first.

        Nothing, if some are of the task before: a resumed run begins new episodes.
        """
        if not self.are_current:
            return {}
        return {key: list(values) for key, values in self._values.items()}

    def load_state_dict(self, state: dict[str, list[float]]) -> None:
        """Replace the episodes here by those of `state_dict`."""
        self._values.clear()
        self.are_current = True
        for key, values in state.items():
            self._values[key].extend(values)


def _number(key: object, value: object) -> float | None:
    """Return `value` as a float; None if it is not a number."""
    if type(value) is float:
        return value
    if isinstance(value, (np.ndarray, Tensor)):
        if value.ndim > 0:
            return None
        value = value.item()
    if not isinstance(value, (Number, np.number, np.bool_)):
        return None
    try:
        if isinstance(value, np.complexfloating):  # of which NumPy would drop the imaginary part
            value = complex(value)
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError) as error:
        raise ContractError(
            f"infos[{key!r}] must be a number that a float can hold; got {brief(value)} "
            f"({type(error).__name__}). Convert it in the environment, or leave it out."
        ) from error


class RewardScale:
    """Divides rewards by the running deviation of their discounted sum, and clips them to 10.

    Engstrom et al. 2020 (arXiv:2005.12729), as in Gymnasium's NormalizeReward: the sum of each row
    is not restarted by a division, only by the end of its episode. The running variance is Chan's.
    Clipping is that of CleanRL and Stable-Baselines3: the first reward after n steps of zeros would
    be as large as 4 sqrt(n).
    """

    _CLIP = 10.0

    def __init__(self, rows: int, gamma: float) -> None:
        self._gamma = gamma
        self._sums = np.zeros(rows)
        self._count, self._mean, self._variance = 1e-4, 0.0, 1.0
        self._since = np.zeros(3)  # since `merge_processes`: count, sum, sum of squares

    def __call__(
        self,
        rewards: NDArray[np.float32],
        ends: NDArray[np.bool_],
        acting: NDArray[np.bool_],
        rows: slice = slice(None),
    ) -> NDArray[np.float32]:
        """Return scaled rewards (B,), within [-10, 10].

        Args:
            rewards: of a step.
            ends: the rows whose episode ended with them.
            acting: the rows in which an agent had acted; others are ignored.
            rows: which of all rows these are.
        """
        sums = self._sums[rows]  # a view
        if np.count_nonzero(acting) == len(acting):
            sums *= self._gamma
            sums += rewards
            self._count_in(sums)
        else:
            seen = sums[acting] * self._gamma + rewards[acting]
            sums[acting] = seen
            self._count_in(seen)
        sums[ends] = 0
        scaled = rewards / np.sqrt(self._variance + 1e-8)
        return np.minimum(np.maximum(scaled, -self._CLIP), self._CLIP).astype(np.float32)

    def _count_in(self, sums: NDArray[np.float64]) -> None:
        """Count the sums of a step: as `sums.mean()` and `sums.var()`, which take twice as long."""
        count = len(sums)
        if count == 0:
            return
        total = np.add.reduce(sums)
        mean = total / count
        apart = sums - mean
        self._merge(count, mean, np.add.reduce(apart * apart) / count)
        self._since[0] += count
        self._since[1] += total
        self._since[2] += np.add.reduce(sums * sums)

    def merge_processes(
        self, all_reduce_sum: Callable[[Tensor], Tensor], device: torch.device
    ) -> None:
        """Merge the rewards that the other processes have seen since the last call.

        Args:
            all_reduce_sum: sums a tensor over all processes that learn together.
            device: of the tensors that are summed.
        """
        own = torch.tensor(self._since, device=device)
        count, summed, squares = (all_reduce_sum(own) - own).tolist()
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
        """Reset the running sums, as new episodes begin in all rows."""
        self._sums[:] = 0

    def state_dict(self) -> StateDict:
        """Return what a checkpoint keeps: the scale, not the sums of unfinished episodes."""
        return {
            "count": float(self._count),
            "mean": float(self._mean),
            "variance": float(self._variance),
        }

    def load_state_dict(self, state: StateDict) -> None:
        """Continue with the scale of `state_dict`, at the start of new episodes."""
        self.restart()
        self._since[:] = 0
        self._count, self._mean = state["count"], state["mean"]
        self._variance = state["variance"]
