"""What `recv` returns: the arrays of a batch, and the infos of its environments."""

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from pufferlib.annotations import Array
from pufferlib.environment import Buffers, Info


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


class _Unpacked(NamedTuple):
    """The seven values that a batch unpacks to; see `Batch`."""

    observations: Array
    rewards: NDArray[np.float32]
    terminals: NDArray[np.bool_]
    truncations: NDArray[np.bool_]
    infos: Infos
    env_ids: NDArray[np.int64]
    masks: NDArray[np.bool_]


class Batch(_Unpacked):
    """One step of a batch of rows; a row is an agent of an environment.

    Unpacks to its first seven attributes, `observations` to `masks`; `final_observations` and
    `lost` are attributes only.

    The arrays are views that the next `send` overwrites: copy what you keep. With
    `Multiprocessing(zero_copy=False)` they are copies already.

    Attributes:
        observations: (rows, *single_observation_space.shape); where an episode ended, already the
            first observation of the next episode, but the last one if the vectorizer's `autoreset`
            is not "same_step".
        rewards: float32 (rows,).
        terminals: bool (rows,), the episode ended by the rules of the environment.
        truncations: bool (rows,), the episode was cut off.
        infos: the non-empty infos, with the indices of their environments.
        env_ids: int64 (rows,), the index of each row among the vectorizer's `num_agents` rows. With
            one agent per environment it is the index of the environment.
        masks: bool (rows,), the agent is there to act on this observation. If `autoreset` is not
            "same_step", False where an episode ended.
        final_observations: as `observations`; the last observation of the episode that ended, valid
            where `terminals | truncations`, stale elsewhere.
        lost: bool (rows,), the result of the step was lost because the worker failed and is being
            replaced. Leave these steps out of training. Always False with `on_failure="raise"`.
    """

    final_observations: Array
    lost: NDArray[np.bool_]

    def __new__(
        cls,
        observations: Array,
        rewards: NDArray[np.float32],
        terminals: NDArray[np.bool_],
        truncations: NDArray[np.bool_],
        infos: Infos,
        env_ids: NDArray[np.int64],
        masks: NDArray[np.bool_],
        final_observations: Array,
        lost: NDArray[np.bool_],
    ) -> Self:
        """Return a batch of nine values, of which the tuple has the first seven."""
        unpacked = (observations, rewards, terminals, truncations, infos, env_ids, masks)
        batch = tuple.__new__(cls, unpacked)  # the named tuple's own takes the seven only
        batch.final_observations, batch.lost = final_observations, lost
        return batch

    def __getnewargs__(self) -> tuple[object, ...]:
        return *self, self.final_observations, self.lost

    def _replace(self, **kwargs: object) -> Self:
        """Return a copy with other values of some attributes."""
        names = (*self._fields, "final_observations", "lost")
        return type(self)(**{name: getattr(self, name) for name in names} | kwargs)


def batch_of(
    rows: Buffers, infos: Infos, env_ids: NDArray[np.int64], lost: NDArray[np.bool_]
) -> Batch:
    """Return the batch of these rows; as `Batch(...)`, which takes twice as long to call."""
    batch = tuple.__new__(
        Batch,
        (
            rows.observations,
            rows.rewards,
            rows.terminals,
            rows.truncations,
            infos,
            env_ids,
            rows.masks,
        ),
    )
    batch.final_observations, batch.lost = rows.final_observations, lost
    return batch
