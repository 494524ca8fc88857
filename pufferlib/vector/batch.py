"""What `recv` returns."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pufferlib.environment import Info


class Infos(list[Info]):
    """The non-empty infos of a step, in the order of the environments.

    Attributes:
        env_indices: for each info, the index of the environment that it came from.
    """

    def __init__(self) -> None:
        super().__init__()
        self.env_indices: list[int] = []

    def extend_from(self, env_index: int, infos: list[Info]) -> None:
        """Append the infos of one environment."""
        self.extend(infos)
        self.env_indices.extend([env_index] * len(infos))


class Batch(NamedTuple):
    """One step of a batch of rows; a row is an agent of an environment.

    The arrays are views that the next `send` overwrites: copy what you keep. With
    `Multiprocessing(zero_copy=False)` they are copies already.

    Attributes:
        observations: (rows, *single_observation_space.shape); where an episode ended, already the
            first of the next one. The last one is then in `vecenv.final_observations`.
        rewards: float32 (rows,).
        terminals: bool (rows,), the episode ended by the rules of the environment.
        truncations: bool (rows,), the episode was cut off.
        infos: the non-empty infos, with the indices of their environments.
        env_ids: int64 (rows,), which of the vectorizer's `num_agents` rows each one is. With one
            agent an environment it is the environment's index.
        masks: bool (rows,), the agent is there to act on this observation.
    """

    observations: NDArray[Any]
    rewards: NDArray[np.float32]
    terminals: NDArray[np.bool_]
    truncations: NDArray[np.bool_]
    infos: Infos
    env_ids: NDArray[np.int64]
    masks: NDArray[np.bool_]
