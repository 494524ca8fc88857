"""The interface of opponents: all that the training loop uses of them."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pufferlib.annotations import Array, StateDict
from pufferlib.environment import Info
from pufferlib.vector import Batch


class Opponents(Protocol):
    """Play the rows of the environments that the learner does not.

    The learner acts for all rows; opponents replace its actions in theirs. Only the learner's rows
    count as steps, enter rollouts as valid, statistics and the scale of rewards. A row changes its
    player only where a game has ended, or was lost.

    Attributes:
        learns: bool (rows of the vectorizer,), which of them the learner plays now.
    """

    @property
    def learns(self) -> NDArray[np.bool_]: ...

    def begin(self, seed: int) -> None:
        """Begin new games in all environments; those in progress are not recorded.

        Args:
            seed: of the lineups and of the opponents' actions: all that is drawn from now on.
        """
        ...

    def act(self, batch: Batch, starts: NDArray[np.bool_], rows: slice, actions: Array) -> Array:
        """Return the actions for the environments: `actions` with the opponents' in their rows.

        Args:
            batch: what the agents of `rows` observe now, and which are there.
            starts: bool (B,), the observation is the first of an episode.
            rows: which of all rows these are.
            actions: (B, ...), flat, of the learner; not written into.
        """
        ...

    def step(self, batch: Batch, acted: NDArray[np.bool_], rows: slice) -> list[Info]:
        """Note the results of a step, and choose the players of games that begin.

        Args:
            batch: the results, of `rows`.
            acted: bool (B,), an agent acted, and the result was not lost.
            rows: which of all rows these are.

        Returns:
            The infos to count: of the learner's episodes.
        """
        ...

    def advance(self, updates: int, timesteps: int) -> None:
        """Note that the learner has changed; called by all processes after the same update.

        Args:
            updates: of the learner so far.
            timesteps: of the run so far.
        """
        ...

    def metrics(self) -> dict[str, float]:
        """Return numbers to log, by "group/name"."""
        ...

    def save_files(self) -> None:
        """Write what `state_dict` refers to; called before a checkpoint is written."""
        ...

    def remove_files(self) -> None:
        """Remove what it no longer refers to; called once the checkpoint is written."""
        ...

    def state_dict(self) -> StateDict:
        """Return what a checkpoint keeps: tensors and plain values."""
        ...

    def load_state_dict(self, state: StateDict | None, timesteps: int) -> None:
        """Continue from what `state_dict` returned; `begin` follows.

        Args:
            state: None: the run had no opponents so far.
            timesteps: of the run so far.
        """
        ...
