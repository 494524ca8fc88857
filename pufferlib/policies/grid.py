"""A network for small grid worlds, whose cells hold one or more numbers."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pufferlib.emulation.description import HasSpaces, describe
from pufferlib.emulation.layout import Field
from pufferlib.exceptions import ArgumentError
from pufferlib.models import ActionHeads, HiddenState, choices_of, features_of, leaves_of
from pufferlib.pytorch import layer_init, unflatten

_LARGEST_CODE = 255
_SHORTEST_TEXT = 16


class GridPolicy(HiddenState):
    """Two convolutions over embedded cells, joined with the other leaves of the observation.

    The observation is a Box of three axes, (H, W, C) or (C, H, W), or a Dict or Tuple with one such
    Box. Integers from a range of up to 256 values are treated as codes: each plane has its own
    embedding, and the embeddings of a cell are added. Other numbers are used directly. A text is
    read by a convolution over its characters; all other leaves are joined as in
    `pufferlib.models.Default`.

    Args:
        env: an emulated or vectorized environment, or a native one.
        hidden_size: width of the hidden state.
        embedding_size: width of the embedding of a code or character.
        is_channels_first: the grid is (C, H, W); if None, the shorter of its first and its last
            axis holds the channels.

    Raises:
        ArgumentError: if the observation has no such Box, or several.
    """

    def __init__(
        self,
        env: HasSpaces,
        hidden_size: int = 128,
        embedding_size: int = 16,
        is_channels_first: bool | None = None,
    ) -> None:
        super().__init__()
        self._layout = describe(env).observation_layout
        fields = self._layout.fields
        self._grid = _find_grid(fields)
        self._texts = [index for index, field in enumerate(fields) if _is_text(field)]
        self._others = [
            (index, field, choices_of(field))
            for index, field in enumerate(fields)
            if index != self._grid and index not in self._texts
        ]
        self.hidden_size = hidden_size
        self.cells = _Cells(fields[self._grid], embedding_size, is_channels_first)
        self.texts = nn.ModuleList(_Text(fields[index], embedding_size) for index in self._texts)
        self.convolutions = nn.Sequential(
            layer_init(nn.Conv2d(self.cells.channels, 32, 3, padding=1)),
            nn.ReLU(),
            layer_init(nn.Conv2d(32, 64, 3, stride=2, padding=1)),
            nn.ReLU(),
            nn.Flatten(),
        )
        with torch.no_grad():
            shape = (1, self.cells.channels, *self.cells.size)
            features = self.convolutions(torch.zeros(shape)).shape[1]
        features += sum(c[1] if c else field.leaf.size for _, field, c in self._others)
        features += len(self.texts) * _Text.FEATURES
        self.joined = nn.Sequential(layer_init(nn.Linear(features, hidden_size)), nn.ReLU())
        self.decoder = ActionHeads(env, hidden_size)
        self.value_head = layer_init(nn.Linear(hidden_size, 1), std=1.0)

    def encode_observations(self, observations: Tensor) -> tuple[Tensor, None]:
        """Return ((B, hidden_size), None) for flat observations (B, ...)."""
        batch = observations.shape[0]
        found = leaves_of(unflatten(observations, self._layout))
        parts = [self.convolutions(self.cells(found[self._grid]))]
        parts += [text(found[index]) for text, index in zip(self.texts, self._texts, strict=True)]
        parts += [
            features_of(found[index].reshape(batch, -1), field, choices)
            for index, field, choices in self._others
        ]
        return self.joined(torch.cat(parts, 1)), None


def channels_first_policy(env: HasSpaces, **kwargs: Any) -> GridPolicy:
    """Return a GridPolicy for grids (C, H, W), even if C is larger than H or W."""
    return GridPolicy(env, is_channels_first=True, **kwargs)


def channels_last_policy(env: HasSpaces, **kwargs: Any) -> GridPolicy:
    """Return a GridPolicy for grids (H, W, C), even if C is larger than H or W."""
    return GridPolicy(env, is_channels_first=False, **kwargs)


class _Cells(nn.Module):
    """Embed planes of codes; pass on planes of other numbers."""

    _start: Tensor

    def __init__(self, field: Field, embedding_size: int, is_channels_first: bool | None) -> None:
        super().__init__()
        leaf = field.leaf
        first, last = leaf.shape[0], leaf.shape[2]
        self._is_first = first <= last if is_channels_first is None else is_channels_first
        planes = int(first if self._is_first else last)
        self.size = tuple(int(n) for n in (leaf.shape[1:] if self._is_first else leaf.shape[:2]))
        low, high = float(leaf.low.min()), float(leaf.high.max())
        self._low, self._most = 0, 0
        self._embeds = np.issubdtype(leaf.dtype, np.integer) and high - low <= _LARGEST_CODE
        if self._embeds:
            self._low, self._most = int(low), int(high - low)
            self.embedding = nn.Embedding(planes * (self._most + 1), embedding_size)
            start = torch.arange(planes) * (self._most + 1)
            self.register_buffer("_start", start.view(-1, 1, 1), persistent=False)
        self.channels = embedding_size if self._embeds else planes

    def forward(self, grid: Tensor) -> Tensor:
        """Return float32 (B, channels, h, w)."""
        if not self._is_first:
            grid = grid.permute(0, 3, 1, 2)
        if not self._embeds:
            return grid.float()
        # Rows of absent agents are zero, whatever the lowest code.
        codes = (grid.long() - self._low).clamp(0, self._most) + self._start  # (B, C, h, w)
        return self.embedding(codes).sum(1).permute(0, 3, 1, 2)


class _Text(nn.Module):
    """Features of a text, independent of their position in it."""

    FEATURES = 64

    def __init__(self, field: Field, embedding_size: int) -> None:
        super().__init__()
        characters = int(field.leaf.high.max()) + 1
        self.embedding = nn.Embedding(characters, embedding_size)
        self.window = layer_init(nn.Conv1d(embedding_size, self.FEATURES, 8, stride=2))

    def forward(self, text: Tensor) -> Tensor:
        """Return float32 (B, FEATURES) for characters (B, length)."""
        embedded = self.embedding(text.long()).transpose(1, 2)  # (B, E, length)
        return self.window(embedded).relu().amax(2)


def _find_grid(fields: tuple[Field, ...]) -> int:
    """Return the index of the leaf that is the grid."""
    found = [
        index
        for index, field in enumerate(fields)
        if field.leaf.kind == "Box" and len(field.leaf.shape) == 3
    ]
    if len(found) != 1:
        shapes = ", ".join(str(field.leaf.shape) for field in fields)
        raise ArgumentError(
            f"GridPolicy needs an observation with one grid, a Box of shape (H, W, C) or "
            f"(C, H, W); this one has {len(found)} among leaves of shapes {shapes}. Use "
            f"pufferlib.models.Default, or write a policy that joins them."
        )
    return found[0]


def _is_text(field: Field) -> bool:
    """Return whether a leaf is a Text, which emulation converts to a long MultiDiscrete."""
    leaf = field.leaf
    is_long = len(leaf.shape) == 1 and leaf.size >= _SHORTEST_TEXT
    return leaf.kind == "MultiDiscrete" and is_long and bool((leaf.high == leaf.high[0]).all())
