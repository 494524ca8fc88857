"""Baseline policies, and the parts that policies are made of.

`pufferlib.policy` defines the contract of policies; they need no base class. A policy that splits
forward into `encode_observations`, up to the hidden state, and `decode_actions`, from there, can be
wrapped by `LSTMWrapper` and `GRUWrapper`, which insert a recurrent layer in between.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from pufferlib.action_heads import ActionHeads, Gaussian
from pufferlib.annotations import Structure
from pufferlib.emulation.description import HasSpaces, describe
from pufferlib.emulation.layout import Field, Layout
from pufferlib.exceptions import ArgumentError
from pufferlib.normalization import NormalizedObservations
from pufferlib.published_names import names_of
from pufferlib.pytorch import Heads, layer_init, unflatten
from pufferlib.recurrent import GRUWrapper, LSTMWrapper, check_halves

__all__ = [
    "ActionHeads",
    "Critic",
    "Default",
    "FlatFeatures",
    "GRUWrapper",
    "Gaussian",
    "HiddenState",
    "LSTMWrapper",
    "NormalizedObservations",
    "check_halves",
    "choices_of",
    "features_of",
    "leaves_of",
    "spaces_of",
]


Critic: TypeAlias = Literal["separate", "shared"]


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

    def decode_actions(
        self, hidden: Tensor, lookup: Any = None, concat: bool | None = None
    ) -> tuple[Heads, Tensor]:
        """Return (actions, value (B, 1)) for hidden states (B, hidden_size).

        `concat` has no effect: code for PufferLib 1.0 passes it.
        """
        return self.decoder(hidden), self.value_head(hidden)


class FlatFeatures(nn.Module):
    """Any observation as one float vector, without weights.

    Discrete parts are one-hot. Of uint8, images (two axes of 36 or more) are scaled to [0, 1]; for
    all else, such as the cells of a small grid or the RAM of an Atari, see `uint8`.

    Args:
        env: the environment whose observations are its input.
        without: paths of parts to leave out: `[("action_mask",)]`.

    Attributes:
        size: length of the vector.
        uint8: "log" reads log(1 + x), which keeps small numbers apart and large ones small (symlog
            of Hafner et al. 2023, arXiv:2301.04104, eq. 9); "scaled" reads x / 255.
    """

    uint8: Literal["log", "scaled"] = "log"

    def __init__(self, env: HasSpaces, without: Collection[tuple[str, ...]] = ()) -> None:
        super().__init__()
        self._layout = describe(env).observation_layout
        self._seen = [
            (number, field, choices_of(field))
            for number, field in enumerate(self._layout.fields)
            if tuple(field.leaf.path) not in without
        ]
        self.size = sum(choices[1] if choices else f.leaf.size for _, f, choices in self._seen)

    def forward(self, observations: Tensor) -> Tensor:
        """Return float32 (B, size) for flat observations (B, ...)."""
        found = leaves_of(unflatten(observations, self._layout))
        features = []
        for number, field, choices in self._seen:
            leaf = found[number]
            values = leaf.flatten(1) if leaf.ndim > 1 else leaf.unsqueeze(1)
            is_small = values.dtype == torch.uint8 and field.leaf.kind == "Box"
            if self.uint8 == "log" and is_small and not _is_image(field):
                features.append(values.float().log1p())
            else:
                features.append(features_of(values, field, choices))
        return features[0] if len(features) == 1 else torch.cat(features, 1)


class Default(HiddenState):
    """Two hidden layers over the whole observation, and linear decoders. Supports any space.

    Args:
        env: an emulated or vectorized environment.
        hidden_size: width of each hidden layer, and of the hidden state.
        critic: "shared": the value is decoded from the hidden state, as the actions are.
            "separate": from two other hidden layers, as in CleanRL's ppo.py and
            Stable-Baselines3's MlpPolicy, so that the gradient of the value loss, whatever the
            scale of the rewards, does not affect what the actions are decoded from. A recurrent
            layer is then before the actions only.
    """

    normalize_observations = True

    def __init__(
        self,
        env: HasSpaces,
        hidden_size: int = 128,
        critic: Critic = "shared",
        features: FlatFeatures | None = None,
    ) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.features = features or FlatFeatures(env)
        self.encoder = _hidden_layers(self.features.size, hidden_size)
        self.decoder = ActionHeads(env, hidden_size)
        is_separate = critic == "separate"
        self.critic = _hidden_layers(self.features.size, hidden_size) if is_separate else None
        self.value_head = layer_init(nn.Linear(hidden_size, 1), std=1.0)

    def encode_observations(self, observations: Tensor) -> tuple[Tensor, Any]:
        """Return (hidden, lookup) for flat observations (B, ...).

        Both are (B, hidden_size): what the actions are decoded from, and the value if its layers
        are separate; else lookup is None.
        """
        features = self.features(observations)
        return self.encoder(features), None if self.critic is None else self.critic(features)

    def decode_actions(
        self, hidden: Tensor, lookup: Any = None, concat: bool | None = None
    ) -> tuple[Heads, Tensor]:
        """Return (actions, value (B, 1)) for the result of `encode_observations`."""
        return self.decoder(hidden), self.value_head(hidden if lookup is None else lookup)


def _hidden_layers(inputs: int, width: int) -> nn.Sequential:
    first = layer_init(nn.Linear(inputs, width))
    return nn.Sequential(first, nn.Tanh(), layer_init(nn.Linear(width, width)), nn.Tanh())


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


def _is_image(field: Field) -> bool:
    """Return whether the two longest axes of a leaf are those of a picture."""
    return len(field.leaf.shape) > 1 and sorted(field.leaf.shape)[-2] >= 36


if not TYPE_CHECKING:
    __getattr__, __dir__ = names_of(__name__)
