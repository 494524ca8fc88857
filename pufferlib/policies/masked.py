"""A network for games whose observation includes an action mask."""

from typing import Any

import torch
from torch import Tensor

from pufferlib.emulation.description import HasSpaces, describe
from pufferlib.models import Critic, Default, FlatFeatures, leaves_of
from pufferlib.pytorch import Heads, unflatten

_MASK = ("action_mask",)  # the path to the mask's leaf


class MaskedDefault(Default):
    """`pufferlib.models.Default` that never takes an illegal action.

    The observation is a Dict whose "action_mask" has a number for each of the Discrete actions,
    nonzero if it is legal. The mask is not used as a feature. It lowers the logits of illegal
    actions so far that their probability is 0, but keeps them finite, so that entropies are finite
    too. If no action is legal, as in the rows of absent agents, all are equally likely. Without
    "action_mask" the network equals Default.

    Args:
        env: an emulated or vectorized environment.
        hidden_size: see `Default`.
        critic: see `Default`.
    """

    def __init__(self, env: HasSpaces, hidden_size: int = 128, critic: Critic = "shared") -> None:
        super().__init__(env, hidden_size, critic, FlatFeatures(env, without=[_MASK]))
        self._layout = describe(env).observation_layout
        paths = [tuple(field.leaf.path) for field in self._layout.fields]
        self._mask = paths.index(_MASK) if _MASK in paths else None

    def encode_observations(self, observations: Tensor) -> tuple[Tensor, Any]:
        """Return (hidden, lookup): see `Default`; lookup has the legal actions too."""
        hidden, value_hidden = super().encode_observations(observations)
        if self._mask is None:
            return hidden, (value_hidden, None)
        mask = leaves_of(unflatten(observations, self._layout))[self._mask]
        return hidden, (value_hidden, mask.reshape(len(observations), -1) != 0)

    def decode_actions(
        self, hidden: Tensor, lookup: Any = None, concat: bool | None = None
    ) -> tuple[Heads, Tensor]:
        """Return (logits, value (B, 1)) for the result of `encode_observations`."""
        value_hidden, is_legal = (None, None) if lookup is None else lookup
        logits, value = super().decode_actions(hidden, value_hidden)
        if is_legal is None or not isinstance(logits, Tensor):
            return logits, value
        lowest = torch.finfo(logits.dtype).min / 2
        return logits.masked_fill(~is_legal, lowest), value
