"""From the actions a policy draws to those an environment takes."""

from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray
from torch import Tensor


def to_numpy(actions: Tensor, space: gymnasium.Space[Any]) -> NDArray[Any]:
    """Return drawn actions (B, ...) as an array that `space` contains row by row.

    A Normal is unbounded: what falls outside a Box is clipped to it here, on the way to the
    environment; the draw itself, whose probability is known, is what training keeps.
    """
    array: NDArray[Any] = actions.cpu().numpy()
    if isinstance(space, gymnasium.spaces.Box):
        array = array.reshape(-1, *space.shape)
        return np.clip(array, space.low, space.high).astype(space.dtype, copy=False)
    return array
