"""A network for games whose observation includes an action mask."""

from typing import Any

import torch
from torch import Tensor, nn

from pufferlib.emulation.description import HasSpaces, describe
from pufferlib.models import Default, choices_of, features_of, leaves_of
from pufferlib.pytorch import Heads, layer_init, unflatten

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
        hidden_size: width of the hidden state.
    """

    def __init__(self, env: HasSpaces, hidden_size: int = 128) -> None:
        super().__init__(env, hidden_size)
        self._layout = describe(env).observation_layout
        fields = self._layout.fields
        paths = [tuple(field.leaf.path) for field in fields]
        self._mask = paths.index(_MASK) if _MASK in paths else None
        if self._mask is None:
            return
        self._seen = [
            (number, field, choices_of(field))
            for number, field in enumerate(fields)
            if number != self._mask
        ]
        features = sum(
            choices[1] if choices else field.leaf.size for _, field, choices in self._seen
        )
        self.encoder[0] = layer_init(nn.Linear(features, hidden_size))

    def encode_observations(self, observations: Tensor) -> tuple[Tensor, Any]:
        """Return ((B, hidden_size), bool (B, actions)): the hidden state, and the legal actions."""
        if self._mask is None:
            return super().encode_observations(observations)
        batch = observations.shape[0]
        found = leaves_of(unflatten(observations, self._layout))
        features = [
            features_of(found[number].reshape(batch, -1), field, choices)
            for number, field, choices in self._seen
        ]
        is_legal = found[self._mask].reshape(batch, -1) != 0
        return self.encoder(torch.cat(features, 1)), is_legal

    def decode_actions(self, hidden: Tensor, lookup: Any = None) -> tuple[Heads, Tensor]:
        """Return (logits, value (B, 1)) for hidden states and legal actions."""
        logits, value = super().decode_actions(hidden)
        if lookup is None or not isinstance(logits, Tensor):
            return logits, value
        lowest = torch.finfo(logits.dtype).min / 2
        return logits.masked_fill(~lookup, lowest), value
