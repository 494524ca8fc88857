"""Baseline policies, and the parts that policies are made of.

`pufferlib.policy` defines the contract of policies; they need no base class. A policy that splits
forward into `encode_observations`, up to the hidden state, and `decode_actions`, from there, can be
wrapped by `LSTMWrapper` and `GRUWrapper`, which insert a recurrent layer in between.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pufferlib.action_heads import ActionHeads, Gaussian
from pufferlib.annotations import Structure
from pufferlib.emulation.description import HasSpaces, describe
from pufferlib.emulation.layout import Field, Layout
from pufferlib.exceptions import ArgumentError
from pufferlib.normalization import NormalizedObservations
from pufferlib.pytorch import Heads, layer_init, unflatten
from pufferlib.recurrent import GRUWrapper, LSTMWrapper, Recurrent, check_halves

__all__ = [
    "ActionHeads",
    "Default",
    "FlatFeatures",
    "GRUWrapper",
    "Gaussian",
    "HiddenState",
    "LSTMWrapper",
    "NormalizedObservations",
    "Recurrent",
    "check_halves",
    "choices_of",
    "features_of",
    "leaves_of",
    "spaces_of",
]


class HiddenState(nn.Module, ABC):
    """A policy with an encoder, and action and value heads on its hidden state.

    This base class is optional. A subclass sets the attributes and implements
    `encode_observations`.

    Attributes:
        hidden_size: width of the hidden state.
        decoder: maps a hidden state to the heads of `sample_actions`.
        value_head: maps a hidden state to its value.
    """

    hidden_size: int
    decoder: nn.Module
    value_head: nn.Module

    def forward(self, observations: Tensor) -> tuple[Heads, Tensor]:
        """Return (actions, value (B, 1)) for flat observations (B, ...)."""
        hidden, lookup = self.encode_observations(observations)
        return self.decode_actions(hidden, lookup)

    @abstractmethod
    def encode_observations(self, observations: Tensor) -> tuple[Tensor, Any]:
        """Return ((B, hidden_size), the `lookup` of `decode_actions`) for (B, ...)."""

    def decode_actions(self, hidden: Tensor, lookup: Any = None) -> tuple[Heads, Tensor]:
        """Return (actions, value (B, 1)) for hidden states (B, hidden_size)."""
        return self.decoder(hidden), self.value_head(hidden)


class FlatFeatures(nn.Module):
    """Any observation as one float vector: discrete parts one-hot, uint8 scaled to [0, 1].

    It has no weights.

    Args:
        env: the environment whose observations are its input.

    Attributes:
        size: length of the vector.
    """

    def __init__(self, env: HasSpaces) -> None:
        super().__init__()
        self._layout = describe(env).observation_layout
        self._choices = [choices_of(field) for field in self._layout.fields]
        self.size = sum(
            choices[1] if choices else field.leaf.size
            for field, choices in zip(self._layout.fields, self._choices, strict=True)
        )

    def forward(self, observations: Tensor) -> Tensor:
        """Return float32 (B, size) for flat observations (B, ...)."""
        batch = observations.shape[0]
        found = leaves_of(unflatten(observations, self._layout))
        features = [
            features_of(leaf.reshape(batch, -1), field, choices)
            for leaf, field, choices in zip(found, self._layout.fields, self._choices, strict=True)
        ]
        return torch.cat(features, 1)


class Default(HiddenState):
    """A two-layer encoder over the whole observation, and linear decoders. Supports any space.

    Args:
        env: an emulated or vectorized environment.
        hidden_size: width of the hidden state.
    """

    def __init__(self, env: HasSpaces, hidden_size: int = 128) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.features = FlatFeatures(env)
        self.encoder = nn.Sequential(
            layer_init(nn.Linear(self.features.size, hidden_size)),
            nn.Tanh(),
            layer_init(nn.Linear(hidden_size, hidden_size)),
            nn.Tanh(),
        )
        self.decoder = ActionHeads(env, hidden_size)
        self.value_head = layer_init(nn.Linear(hidden_size, 1), std=1.0)

    def encode_observations(self, observations: Tensor) -> tuple[Tensor, Any]:
        """Return ((B, hidden_size), None) for flat observations (B, ...)."""
        return self.encoder(self.features(observations)), None


def spaces_of(
    layout: Layout, keys: Sequence[str], policy: str, advice: str = ""
) -> Mapping[str, Any]:
    """Return the spaces of a Dict observation by key.

    Args:
        layout: of the observation.
        keys: those that the policy needs.
        policy: its name, for the error: "The NetHack policy".
        advice: what to do about a missing key, for the error.

    Raises:
        ArgumentError: the observation lacks one of `keys`.
    """
    spaces: Mapping[str, Any] = getattr(layout.structure, "spaces", {})
    missing = [key for key in keys if key not in spaces]
    if missing:
        raise ArgumentError(
            f"{policy} needs the observation keys {', '.join(keys)}; this environment lacks "
            f"{', '.join(missing)}. {advice}".rstrip()
        )
    return spaces


def leaves_of(structure: Structure) -> list[Tensor]:
    """Return the tensors in nested dicts and tuples, in order."""
    if isinstance(structure, dict):
        structure = tuple(structure.values())
    if isinstance(structure, tuple):
        return [leaf for part in structure for leaf in leaves_of(part)]
    return [structure]


def choices_of(field: Field) -> tuple[int, int] | None:
    """Return the lowest value and the number of values of a Discrete leaf; None for other leaves.

    They are Python ints, which torch.compile treats as constants; it would trace NumPy's.
    """
    leaf = field.leaf
    return (int(leaf.low), int(leaf.high - leaf.low) + 1) if leaf.kind == "Discrete" else None


def features_of(values: Tensor, field: Field, choices: tuple[int, int] | None) -> Tensor:
    """Return float32 (B, features) for the values (B, size) of one leaf."""
    if choices is not None:
        low, count = choices
        classes = (values - low).long().squeeze(1)
        classes = classes.clamp(0, count - 1)  # rows of absent agents are zero, even below `low`
        return nn.functional.one_hot(classes, count).float()
    scaled = values.float()
    return scaled / 255 if field.leaf.kind == "Box" and values.dtype == torch.uint8 else scaled
