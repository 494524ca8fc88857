"""What a batch observes, in NumPy and, when first used, on the device of the policies."""

import torch
from torch import Tensor

from pufferlib.annotations import Array


class ObservedRows:
    """The observations of all rows of a batch, valid until its actions are sent.

    To a GPU they go through page-locked memory, which transfers in the background. That memory is
    written again only after the actions have come back from the GPU, when the transfer is over.

    Args:
        array: (B, ...), as received; the vectorizer will overwrite it.
        device: of the policies.
        staging: page-locked memory like `array`, for a GPU; None: not used.

    Attributes:
        array: as given.
    """

    def __init__(self, array: Array, device: torch.device, staging: Tensor | None) -> None:
        self.array, self._device, self._staging = array, device, staging
        self._tensor: Tensor | None = None

    @property
    def tensor(self) -> Tensor:
        """A copy on the device, made when it is first asked for."""
        if self._tensor is None:
            if self._staging is None:
                self._tensor = torch.tensor(self.array, device=self._device)
            else:
                self._staging.copy_(torch.from_numpy(self.array))
                self._tensor = self._staging.to(self._device, non_blocking=True)
        return self._tensor
