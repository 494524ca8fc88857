"""Which actions are legal, as "action_mask" in observations says."""

import gymnasium
import numpy as np
from numpy.typing import NDArray

from pufferlib.annotations import Array
from pufferlib.emulation.description import HasSpaces, describe

_MASK = ("action_mask",)


class ActionMask:
    """The mask of Discrete or MultiDiscrete actions, as `MaskedDefault` reads it.

    It is the part "action_mask" of an observation that is a Dict: a number for each choice, nonzero
    if it is legal; for several columns those of all, concatenated.

    Args:
        env: the vectorizer, or one of its environments.

    Attributes:
        is_present: observations have a mask for each choice; otherwise all actions are legal.
    """

    def __init__(self, env: HasSpaces) -> None:
        description = describe(env)
        self._layout, space = description.observation_layout, description.single_action_space
        self._widths, self._first, self._shape = [0], np.zeros(1, np.int64), space.shape or ()
        if isinstance(space, gymnasium.spaces.Discrete):
            self._widths, self._first = [int(space.n)], np.array([space.start])
        elif isinstance(space, gymnasium.spaces.MultiDiscrete):
            self._widths, self._first = space.nvec.ravel().tolist(), space.start.ravel()
        sizes = {tuple(field.leaf.path): field.leaf.size for field in self._layout.fields}
        self.is_present = sizes.get(_MASK) == sum(self._widths)

    def legal(self, observations: Array) -> list[NDArray[np.bool_]]:
        """Return the legal choices of each column: bool (B, choices).

        Where a mask has none, as the zeros that absent agents observe, all are legal.
        """
        mask = self._layout.unflatten(observations)["action_mask"]
        flags = np.reshape(mask, (len(observations), -1)) != 0
        columns = np.split(flags, np.cumsum(self._widths)[:-1], 1)
        return [column | ~column.any(1, keepdims=True) for column in columns]

    def draw(self, observations: Array, generator: np.random.Generator) -> Array:
        """Return actions that are drawn uniformly among the legal ones."""
        chosen = [
            np.where(legal, generator.random(legal.shape), -1).argmax(1)
            for legal in self.legal(observations)
        ]
        actions: Array = np.stack(chosen, 1) + self._first
        return actions.reshape(len(observations), *self._shape)
