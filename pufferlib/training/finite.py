"""Detect NaN and infinity in rewards, observations, losses and gradients."""

import contextlib
import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pufferlib.annotations import Array, Structure
from pufferlib.emulation.layout import Layout
from pufferlib.exceptions import NotFiniteError
from pufferlib.vector import Batch, VectorEnv


def check_finite(what: str, value: float) -> None:
    """Refuse a NaN or an infinity; `what` names it in the error.

    Raises:
        NotFiniteError: says what `value` is.
    """
    if not math.isfinite(value):
        raise NotFiniteError(f"The {what} is {value}")


@contextlib.contextmanager
def locating_update(update: int, timesteps: int) -> Iterator[None]:
    """Add to an error of a NaN or infinity in which update it was, and what to try."""
    try:
        yield
    except NotFiniteError as error:
        raise NotFiniteError(
            f"{error} in update {update}, after {timesteps:,} timesteps; the weights are those "
            f"before it. Lower train.learning_rate or train.max_gradient_norm, or normalize large "
            f"observations and rewards."
        ) from error


class FiniteCheck:
    """Refuses rewards and observations that are NaN or infinite.

    Args:
        vecenv: whose batches are checked.
    """

    def __init__(self, vecenv: VectorEnv) -> None:
        self._vecenv = vecenv
        layout = vecenv.observation_layout or Layout.of(vecenv.single_observation_space)
        self._layout = layout
        self._leaves = [
            index
            for index, field in enumerate(layout.fields)
            if np.issubdtype(field.leaf.dtype, np.floating)
        ]
        # A Box alone is its row.
        self._is_one_box = layout.is_identity and layout.fields[0].leaf.kind == "Box"
        self._last_rows = np.cumsum(vecenv.agents_per_env) - 1

    def rewards(self, batch: Batch, acting: NDArray[np.bool_], timesteps: int) -> None:
        """Check the rewards of a batch, in the rows whose agents had acted.

        Raises:
            NotFiniteError: names the environment, the row and the step.
        """
        wrong = ~np.isfinite(batch.rewards) & acting
        if wrong.any():
            row = int(wrong.argmax())
            what = f"a reward of {batch.rewards[row]}"
            self._refuse(int(batch.env_ids[row]), timesteps, what)

    def observations(self, batch: Batch, timesteps: int) -> None:
        """Check the observations of a batch.

        Raises:
            NotFiniteError: names the environment, the row and the step.
        """
        self._check(batch.observations, batch.env_ids, timesteps, "an observation")

    def final_observations(self, batch: Batch, timesteps: int) -> None:
        """Check the last observations of the episodes that a batch truncates.

        Raises:
            NotFiniteError: names the environment, the row and the step.
        """
        cut = batch.truncations
        final = batch.final_observations[cut]
        self._check(final, batch.env_ids[cut], timesteps, "a last observation")

    def _check(self, rows: Array, agents: Array, timesteps: int, what: str) -> None:
        """Check observations, a row for each of `agents`."""
        if not self._leaves:
            return
        if self._is_one_box and np.isfinite(rows).all():
            return
        leaves = _leaves_of(self._layout.unflatten(rows))
        for index in self._leaves:
            values = leaves[index].reshape(len(agents), -1)
            is_finite = np.isfinite(values)
            if not is_finite.all():
                row = int((~is_finite.all(1)).argmax())
                value = values[row][~is_finite[row]][0]
                self._refuse(int(agents[row]), timesteps, f"{what} that holds {value}")

    def _refuse(self, agent: int, timesteps: int, what: str) -> None:
        env = int(np.searchsorted(self._last_rows, agent))
        raise NotFiniteError(
            f"Environment {env} (row {agent}) gave {what}, after {timesteps:,} timesteps. Nothing "
            f"was learned from it. Find its source with pufferlib.testing.check_env(..., "
            f"allow_nan=False), or replace it in a wrapper."
        )


def _leaves_of(structure: Structure) -> list[Array]:
    if isinstance(structure, dict):
        structure = tuple(structure.values())
    if isinstance(structure, tuple):
        return [leaf for part in structure for leaf in _leaves_of(part)]
    return [structure]
