"""A network for MicroRTS: convolutions that keep the map's size, and an action for each cell."""

import torch
from torch import Tensor, nn

from pufferlib.emulation.description import HasSpaces, describe
from pufferlib.models import spaces_of
from pufferlib.pytorch import Heads, layer_init, unflatten

_CELL_CHANNELS, _BACK_CHANNELS = 64, 16
_FORBIDDEN = -1e4  # fits half precision, and its exponential is 0

Lookup = tuple[Tensor, Tensor]


class Policy(nn.Module):
    """A policy after GridNet (Han et al. 2019) for the Dict of `observation` and `action_mask`.

    Choices that the action mask forbids are never taken. If all are forbidden, the first is taken.

    Args:
        env: an emulated or vectorized MicroRTS environment.
        hidden_size: width of the hidden state, which depends on the whole map.

    Raises:
        ArgumentError: if the observation lacks a key.
    """

    def __init__(self, env: HasSpaces, hidden_size: int = 256) -> None:
        super().__init__()
        self._layout = describe(env).observation_layout
        spaces = spaces_of(self._layout, ("observation", "action_mask"), "The MicroRTS policy")
        height, width, planes = spaces["observation"].shape
        cells, choices = spaces["action_mask"].shape
        self._size = height, width
        columns = [int(count) for count in getattr(env.single_action_space, "nvec", ())]
        self._parts = columns[: len(columns) // cells]  # the columns of one cell
        self.hidden_size = hidden_size
        self.cells = nn.Sequential(
            layer_init(nn.Conv2d(planes, 32, 3, padding=1)),
            nn.ReLU(),
            layer_init(nn.Conv2d(32, _CELL_CHANNELS, 3, padding=1)),
            nn.ReLU(),
        )
        self.whole = nn.Sequential(
            layer_init(nn.Conv2d(_CELL_CHANNELS, 32, 3, stride=2, padding=1)),
            nn.ReLU(),
            nn.Flatten(),
            layer_init(nn.Linear(32 * ((height + 1) // 2) * ((width + 1) // 2), hidden_size)),
            nn.ReLU(),
        )
        self.back = layer_init(nn.Linear(hidden_size, _BACK_CHANNELS * cells))
        self.logits = nn.Sequential(
            layer_init(nn.Conv2d(_CELL_CHANNELS + _BACK_CHANNELS, 64, 3, padding=1)),
            nn.ReLU(),
            layer_init(nn.Conv2d(64, choices, 1), std=0.01),
        )
        self.value_head = layer_init(nn.Linear(hidden_size, 1), std=1.0)

    def forward(self, observations: Tensor) -> tuple[Heads, Tensor]:
        """Return (actions, value) for flat observations (B, bytes)."""
        hidden, lookup = self.encode_observations(observations)
        return self.decode_actions(hidden, lookup)

    def encode_observations(self, observations: Tensor) -> tuple[Tensor, Lookup]:
        """Return ((B, hidden_size), (features of cells, masks)) for flat observations."""
        parts = unflatten(observations, self._layout)
        cells = self.cells(parts["observation"].permute(0, 3, 1, 2).float())  # (B, C, h, w)
        return self.whole(cells), (cells, parts["action_mask"])

    def decode_actions(
        self, hidden: Tensor, lookup: Lookup, concat: bool | None = None
    ) -> tuple[Heads, Tensor]:
        """Return (logits of each part of each cell, value (B, 1)) for (B, hidden_size)."""
        cells, masks = lookup
        back = self.back(hidden).unflatten(1, (_BACK_CHANNELS, *self._size))
        logits = self.logits(torch.cat([cells, back], 1))  # (B, choices, h, w)
        logits = logits.flatten(2).transpose(1, 2)  # (B, cells, choices)
        parts = [
            _allowed(part, mask)
            for part, mask in zip(
                logits.split(self._parts, 2), masks.split(self._parts, 2), strict=True
            )
        ]
        by_cell = zip(*(part.unbind(1) for part in parts), strict=True)
        return [part for cell in by_cell for part in cell], self.value_head(hidden)


def _allowed(logits: Tensor, mask: Tensor) -> Tensor:
    """Return logits (B, cells, n) with forbidden ones lowered; the first is kept if all are."""
    is_allowed = mask != 0
    nothing = ~is_allowed.any(2, keepdim=True)
    first = torch.cat([is_allowed[..., :1] | nothing, is_allowed[..., 1:]], 2)
    return logits.masked_fill(~first, _FORBIDDEN)
