"""A network for NetHack: the hero's surroundings, the whole map, the status line, the message."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from pufferlib.emulation.description import HasSpaces, describe
from pufferlib.models import ActionHeads, HiddenState, spaces_of
from pufferlib.pytorch import layer_init, unflatten

_MAP_HEIGHT, _MAP_WIDTH = 21, 79
_BLANK = ord(" ")
_NEEDED = ("chars", "colors", "blstats", "message")
_X, _Y, _HP, _MAX_HP = 0, 1, 10, 11  # positions in blstats


class Policy(HiddenState):
    """A policy for NLE's Dict observations with the keys chars, colors, blstats and message.

    Args:
        env: an emulated or vectorized NLE environment.
        hidden_size: width of the hidden state.
        crop: cells to each side of the hero that are read in detail.
        embedding_size: width of the embedding of a character.

    Raises:
        ArgumentError: if the observation lacks a key.
    """

    def __init__(
        self, env: HasSpaces, hidden_size: int = 256, crop: int = 4, embedding_size: int = 16
    ) -> None:
        super().__init__()
        self._layout = describe(env).observation_layout
        advice = "Add them to observation_keys."
        spaces = spaces_of(self._layout, _NEEDED, "The NetHack policy", advice)
        self.hidden_size = hidden_size
        self.crop = crop
        self.char_embedding = nn.Embedding(256, embedding_size)
        self.color_embedding = nn.Embedding(32, embedding_size)
        side = 2 * crop + 1
        self.near = nn.Sequential(
            layer_init(nn.Linear(side * side * embedding_size, 128)),
            nn.ReLU(),
        )
        self.map = nn.Sequential(
            layer_init(nn.Conv2d(2, 16, 5, stride=(3, 4), padding=2)),
            nn.ReLU(),
            layer_init(nn.Conv2d(16, 16, 3, stride=2, padding=1)),
            nn.ReLU(),
            nn.Flatten(),
        )
        with torch.no_grad():
            map_size = self.map(torch.zeros(1, 2, _MAP_HEIGHT, _MAP_WIDTH)).shape[1]
        # Most messages are short: without padding_idx their padding would outweigh the text.
        self.message = nn.EmbeddingBag(256, 32, mode="sum", padding_idx=0)
        status_size = spaces["blstats"].shape[0] + 1
        self.joined = nn.Sequential(
            layer_init(nn.Linear(128 + map_size + 32 + status_size, hidden_size)),
            nn.ReLU(),
        )
        self.decoder = ActionHeads(env, hidden_size)
        self.value_head = layer_init(nn.Linear(hidden_size, 1), std=1.0)

    def encode_observations(self, observations: Tensor) -> tuple[Tensor, None]:
        """Return ((B, hidden_size), None) for flat observations (B, bytes)."""
        parts = unflatten(observations, self._layout)
        blstats = parts["blstats"].float()
        near = self._see_near(parts["chars"], parts["colors"], parts["blstats"])
        planes = torch.stack([parts["chars"] / 128.0, parts["colors"] / 16.0], 1)  # (B, 2, h, w)
        message = self.message(parts["message"].int()) / 16
        health = blstats[:, _HP] / blstats[:, _MAX_HP].clamp(min=1)
        status = torch.cat([_squash(blstats), health.unsqueeze(1)], 1)
        joined = torch.cat([self.near(near), self.map(planes), message, status], 1)
        return self.joined(joined), None

    def _see_near(self, chars: Tensor, colors: Tensor, blstats: Tensor) -> Tensor:
        """Return the embedded square around the hero, (B, side * side * embedding_size)."""
        reach = torch.arange(2 * self.crop + 1, device=chars.device)
        width = _MAP_WIDTH + 2 * self.crop
        rows = blstats[:, _Y].long().clamp(0, _MAP_HEIGHT - 1)[:, None] + reach  # (B, side)
        columns = blstats[:, _X].long().clamp(0, _MAP_WIDTH - 1)[:, None] + reach
        cells = (rows[:, :, None] * width + columns[:, None, :]).flatten(1)  # (B, side * side)
        border = (self.crop,) * 4
        chars = functional.pad(chars, border, value=_BLANK).flatten(1).gather(1, cells)
        colors = functional.pad(colors, border).flatten(1).gather(1, cells)
        embedded = self.char_embedding(chars.int()) + self.color_embedding(colors.int())
        return embedded.flatten(1)


def _squash(values: Tensor) -> Tensor:
    """Return values of any magnitude as numbers of about 1."""
    return values.sign() * values.abs().log1p() / 4
