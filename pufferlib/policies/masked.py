"""A network for games whose observation includes an action mask."""

from typing import Any

import gymnasium
import torch
from torch import Tensor

from pufferlib.emulation.description import HasSpaces, describe
from pufferlib.exceptions import ArgumentError
from pufferlib.models import Critic, Default, FlatFeatures, leaves_of
from pufferlib.pytorch import Heads, unflatten

_MASK = ("action_mask",)  # the path to the mask's leaf


class MaskedDefault(Default):
    """`pufferlib.models.Default` that never takes an illegal action.

    The observation is a Dict whose "action_mask" has a number for each choice of the Discrete or
    MultiDiscrete actions, nonzero if it is legal: for several columns those of all, concatenated.
    The mask is not used as a feature. See `masked` for what it does to the logits. Without
    "action_mask" the network equals Default.

    Args:
        env: an emulated or vectorized environment.
        hidden_size: see `Default`.
        critic: see `Default`.

    Raises:
        ArgumentError: the mask does not have a number for each choice, or actions are continuous.
    """

    def __init__(self, env: HasSpaces, hidden_size: int = 128, critic: Critic = "shared") -> None:
        super().__init__(env, hidden_size, critic, FlatFeatures(env, without=[_MASK]))
        self._layout = describe(env).observation_layout
        paths = [tuple(field.leaf.path) for field in self._layout.fields]
        self._mask = paths.index(_MASK) if _MASK in paths else None
        if self._mask is not None:
            _check_mask(self._layout.fields[self._mask].leaf.size, env.single_action_space)

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
        return (logits if is_legal is None else masked(logits, is_legal)), value


def masked(heads: Any, masks: Any) -> Heads:
    """Return logits whose choices are impossible where `masks` is 0.

    They stay finite, so that entropies are finite too. Where no choice is possible, as in the rows
    of absent agents, all are equally likely.

    Args:
        heads: logits (B, n), or a sequence of them.
        masks: (B, choices) of numbers or flags: for several logits those of all, concatenated.

    Raises:
        ArgumentError: there is no flag for each choice, or a head is not logits.
    """
    parts = [heads] if isinstance(heads, Tensor) else list(heads)
    if not all(isinstance(part, Tensor) for part in parts):
        raise ArgumentError(
            "Action masks apply to logits of Discrete and MultiDiscrete actions; the policy has "
            "other heads. Leave the mask out, or make all actions discrete."
        )
    is_legal = torch.as_tensor(masks, device=parts[0].device) != 0
    is_legal = is_legal.reshape(len(parts[0]), -1)
    widths = [part.shape[-1] for part in parts]
    if is_legal.shape[1] != sum(widths):
        raise ArgumentError(
            f"Action masks must have a column for each of {sum(widths)} choices; got "
            f"{is_legal.shape[1]}. Return one flag for each choice, those of several actions "
            f"concatenated."
        )
    found = [
        part.masked_fill(~legal, torch.finfo(part.dtype).min / 2)
        for part, legal in zip(parts, is_legal.split(widths, 1), strict=True)
    ]
    return found[0] if isinstance(heads, Tensor) else found


def _check_mask(size: int, space: Any) -> None:
    """Refuse a mask that does not fit the action space."""
    counts = []
    if isinstance(space, gymnasium.spaces.Discrete):
        counts = [int(space.n)]
    elif isinstance(space, gymnasium.spaces.MultiDiscrete):
        counts = [int(n) for n in space.nvec.ravel()]
    if size != sum(counts):
        raise ArgumentError(
            f"MaskedDefault needs an action_mask with a number for each choice of Discrete or "
            f"MultiDiscrete actions; got {size} numbers for {space}. Give it those of all columns, "
            f"concatenated, or use pufferlib.models.Default."
        )
