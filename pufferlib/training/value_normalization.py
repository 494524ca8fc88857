"""Train the value function on returns normalized by their running mean and deviation."""

from collections.abc import Callable

import torch
from torch import Tensor

from pufferlib.annotations import StateDict

_LEAST_VARIANCE = 1e-2


class ReturnNormalizer:
    """Running mean and standard deviation of all returns so far (Chan et al. 1979).

    A value head learns normalized returns; what it predicts is denormalized before anything is
    computed from it (MAPPO, Yu et al. 2022, arXiv:2103.01955, 5.1, "value normalization"). Unlike
    PopArt (van Hasselt et al. 2016, arXiv:1602.07714), the head is not rescaled when the statistics
    change, so any network can have it. The variance counts as at least 0.01, as in MAPPO's code: a
    first reward after many steps of zeros would otherwise be a target of any size.
    """

    def __init__(self) -> None:
        self._count, self._mean, self._variance = 0.0, 0.0, 1.0

    @property
    def _std(self) -> float:
        return float(max(self._variance, _LEAST_VARIANCE) ** 0.5)

    def update(
        self,
        returns: Tensor,
        valid: Tensor,
        all_reduce_sum: Callable[[Tensor], Tensor] = lambda tensor: tensor,
        device: torch.device | str = "cpu",
    ) -> None:
        """Count the returns of a rollout.

        Args:
            returns: (T, B).
            valid: bool (T, B); others are ignored.
            all_reduce_sum: sums a tensor over all processes that learn together.
            device: of the tensors that are summed.
        """
        kept = returns[valid].double()
        own = torch.stack([kept.new_tensor(len(kept)), kept.sum()])
        count, summed = all_reduce_sum(own.to(device)).tolist()
        if count == 0:
            return
        mean = summed / count
        squares = all_reduce_sum((kept - mean).square().sum().to(device)).item()
        total, apart = self._count + count, mean - self._mean
        squares += self._variance * self._count + apart**2 * self._count * count / total
        self._mean += apart * count / total
        self._variance, self._count = squares / total, total

    def normalize(self, values: Tensor) -> Tensor:
        """Return returns, or values in their units, as the value head is to predict them."""
        return (values - self._mean) / self._std

    def denormalize(self, predictions: Tensor) -> Tensor:
        """Return what the value head predicts in the units of the returns."""
        return predictions * self._std + self._mean

    def state_dict(self) -> StateDict:
        """Return what a checkpoint keeps."""
        return {"count": self._count, "mean": self._mean, "variance": self._variance}

    def load_state_dict(self, state: StateDict) -> None:
        """Continue from `state_dict`."""
        self._count, self._mean = state["count"], state["mean"]
        self._variance = state["variance"]
