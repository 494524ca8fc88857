"""A network for Neural MMO: nearby tiles, entities and items, and targets among them."""

from typing import Any

import torch
from torch import Tensor, nn

from pufferlib.emulation.description import HasSpaces, describe
from pufferlib.models import spaces_of
from pufferlib.pytorch import Heads, layer_init, unflatten

# The keys that an observation needs, and the key in which an action's target is looked up.
_NEEDED = (
    *("ActionTargets", "AgentId", "Communication", "CurrentTick"),
    *("Entity", "Inventory", "Market", "Task", "Tile"),
)
_TARGETS = {"Target": "Entity", "InventoryItem": "Inventory", "MarketItem": "Market"}
_MATERIALS, _ITEM_TYPES = 16, 32
_ID, _ROW, _COLUMN = 0, 2, 3  # columns of Entity
_ITEM_TYPE = 1  # column of Inventory and Market
_MATERIAL = 2  # column of Tile
_LEAST_SIDE = 7  # the fewest tiles for which two convolutions have an output
_FORBIDDEN = -1e4  # fits half precision, and its exponential is 0

Lookup = tuple[dict[str, Tensor], dict[str, dict[str, Tensor]]]


class Policy(nn.Module):
    """A policy for Neural MMO with all of its game systems.

    Entities and items are embedded one by one, and pooled. The target of an action is chosen by the
    dot product of the hidden state and the embedding of each candidate; the last choice is no
    target, unless PROVIDE_NOOP_ACTION_TARGET is False. Choices that `ActionTargets` forbids are
    never taken, unless it forbids all.

    Args:
        env: an emulated or vectorized Neural MMO.
        hidden_size: width of the hidden state.
        embedding_size: width of the embedding of an entity or item.

    Raises:
        ArgumentError: if the observation lacks a key.
    """

    def __init__(self, env: HasSpaces, hidden_size: int = 256, embedding_size: int = 32) -> None:
        super().__init__()
        self._layout = describe(env).observation_layout
        advice = "Leave the game systems on."
        spaces = spaces_of(self._layout, _NEEDED, "The Neural MMO policy", advice)
        self.hidden_size = hidden_size
        self._side = round(spaces["Tile"].shape[0] ** 0.5)
        padding = max(0, _LEAST_SIDE - self._side) // 2
        self.material_embedding = nn.Embedding(_MATERIALS, 8)
        self.map = nn.Sequential(
            layer_init(nn.Conv2d(8, 16, 3, stride=2, padding=padding)),
            nn.ReLU(),
            layer_init(nn.Conv2d(16, 16, 3, stride=2)),
            nn.ReLU(),
            nn.Flatten(),
        )
        with torch.no_grad():
            map_size = self.map(torch.zeros(1, 8, self._side, self._side)).shape[1]
        items, entities = spaces["Inventory"].shape[1], spaces["Entity"].shape[1]
        self.item_types = nn.Embedding(_ITEM_TYPES, embedding_size)
        self.item = layer_init(nn.Linear(items, embedding_size))
        self.entity = nn.Sequential(
            layer_init(nn.Linear(entities + 2, embedding_size)),
            nn.ReLU(),
            layer_init(nn.Linear(embedding_size, embedding_size)),
        )
        self.myself = layer_init(nn.Linear(entities, 64))
        self.task = layer_init(nn.Linear(spaces["Task"].shape[0], 16))
        self.message = layer_init(nn.Linear(spaces["Communication"].shape[1], 16))
        joined_size = map_size + 2 * 3 * embedding_size + 64 + 16 + 16 + 1
        self.joined = nn.Sequential(
            layer_init(nn.Linear(joined_size, hidden_size)),
            nn.ReLU(),
        )
        self.decoder = MaskedHeads(spaces["ActionTargets"], hidden_size, embedding_size)
        self.value_head = layer_init(nn.Linear(hidden_size, 1), std=1.0)

    def forward(self, observations: Tensor) -> tuple[Heads, Tensor]:
        """Return (actions, value) for flat observations (B, bytes)."""
        hidden, lookup = self.encode_observations(observations)
        return self.decode_actions(hidden, lookup)

    def encode_observations(self, observations: Tensor) -> tuple[Tensor, Lookup]:
        """Return ((B, hidden_size), (embeddings of targets, masks)) for flat observations."""
        parts = unflatten(observations, self._layout)
        entities, present, own = self._see_entities(parts["Entity"], parts["AgentId"])
        embedded = {"Entity": entities}
        pooled = [*_pool(entities, present)]
        for key in ("Inventory", "Market"):
            types = parts[key][..., _ITEM_TYPE].int().clamp(0, _ITEM_TYPES - 1)
            items = torch.relu(self.item(_squash(parts[key].float())) + self.item_types(types))
            embedded[key] = items
            pooled += _pool(items, types > 0)
        materials = parts["Tile"][..., _MATERIAL].int().clamp(0, _MATERIALS - 1)
        tiles = self.material_embedding(materials).unflatten(1, (self._side, self._side))
        features = [
            self.map(tiles.permute(0, 3, 1, 2)),  # (B, 8, side, side)
            *pooled,
            torch.relu(self.myself(own)),
            torch.relu(self.task(parts["Task"].float())),
            torch.relu(self.message(_squash(parts["Communication"].float()))).amax(1),
            _squash(parts["CurrentTick"].float().reshape(-1, 1)),
        ]
        return self.joined(torch.cat(features, 1)), (embedded, parts["ActionTargets"])

    def decode_actions(
        self, hidden: Tensor, lookup: Lookup, concat: bool | None = None
    ) -> tuple[Heads, Tensor]:
        """Return (actions, value (B, 1)) for hidden states (B, hidden_size)."""
        return self.decoder(hidden, *lookup), self.value_head(hidden)

    def _see_entities(self, entities: Tensor, agent_id: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return embeddings (B, n, size), presence (B, n), and the agent's own (B, columns)."""
        values = entities.float()
        ids = entities[..., _ID].int()
        is_self = (ids == agent_id.int().reshape(-1, 1)) & (ids != 0)
        own = (values * is_self.unsqueeze(2)).sum(1)  # (B, columns), zeros of an absent agent
        place = values[..., _ROW : _COLUMN + 1]
        offsets = (place - own[:, None, _ROW : _COLUMN + 1]) / self._side
        embedded = self.entity(torch.cat([_squash(values), offsets], 2))
        return torch.relu(embedded), ids != 0, _squash(own)


class MaskedHeads(nn.Module):
    """Logits of each part of an action, in the order of its columns.

    Args:
        masks: the space of 'ActionTargets', from an action's name to its parts.
        hidden_size: width of the input.
        embedding_size: width of the targets' embeddings.
    """

    def __init__(self, masks: Any, hidden_size: int, embedding_size: int) -> None:
        super().__init__()
        self._parts = [
            (action, part, int(mask.shape[0]))
            for action, parts in masks.spaces.items()
            for part, mask in parts.spaces.items()
        ]
        self._widths = [
            embedding_size + 1 if part in _TARGETS else count for _, part, count in self._parts
        ]
        self.layer = layer_init(nn.Linear(hidden_size, sum(self._widths)), std=0.01)

    def forward(
        self,
        hidden: Tensor,
        embedded: dict[str, Tensor],
        masks: dict[str, dict[str, Tensor]],
    ) -> list[Tensor]:
        """Return logits (B, choices) of each part, low but finite for forbidden choices.

        Args:
            hidden: (B, hidden_size).
            embedded: (B, n, embedding_size) for each kind of target.
            masks: int8 (B, choices) for each part of each action, 0 if forbidden.
        """
        outputs = self.layer(hidden).split(self._widths, dim=1)
        heads = []
        for (action, part, count), output in zip(self._parts, outputs, strict=True):
            if part in _TARGETS:
                aims = embedded[_TARGETS[part]]
                fit = torch.bmm(aims, output[:, :-1].unsqueeze(2)).squeeze(2)  # (B, n)
                output = torch.cat([fit, output[:, -1:]], 1) if count > fit.shape[1] else fit
            heads.append(output.masked_fill(masks[action][part] == 0, _FORBIDDEN))
        return heads


def _pool(embedded: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and maximum (B, size) over the present rows of non-negative (B, n, size)."""
    embedded = embedded * present.unsqueeze(2)
    count = present.sum(1, keepdim=True).clamp(min=1)
    return embedded.sum(1) / count, embedded.amax(1)


def _squash(values: Tensor) -> Tensor:
    """Return values of any magnitude as numbers of about 1."""
    return values.sign() * values.abs().log1p() / 4
