"""A small convolutional network for an agent's local view of a grid."""

import math

import torch
from torch import Tensor, nn

from pufferlib.emulation.description import HasSpaces, describe
from pufferlib.exceptions import ArgumentError
from pufferlib.models import (
    ActionHeads,
    Critic,
    Default,
    HiddenState,
    choices_of,
    features_of,
    leaves_of,
)
from pufferlib.pytorch import layer_init, unflatten

_CHANNELS = 32


class Policy(HiddenState):
    """Two convolutions over each grid of the observation, and a linear layer over all of them.

    A grid is a Box of shape (H, W, planes), a few cells wide. There may be several, as for agents
    of different kinds; other leaves are joined after the convolutions.

    Args:
        env: an emulated or vectorized environment.
        hidden_size: width of the hidden state.

    Raises:
        ArgumentError: if the observation has no grid.
    """

    def __init__(self, env: HasSpaces, hidden_size: int = 128) -> None:
        super().__init__()
        self._layout = describe(env).observation_layout
        fields = self._layout.fields
        self._choices = [choices_of(field) for field in fields]
        self._is_grid = [len(field.leaf.shape) == 3 for field in fields]
        if not any(self._is_grid):
            shapes = ", ".join(str(field.leaf.shape) for field in fields)
            raise ArgumentError(
                f"The policy for grids needs an observation of shape (H, W, planes), or one among "
                f"others; this environment's are {shapes}. Use pufferlib.models.Default."
            )
        self.hidden_size = hidden_size
        self.grids = nn.ModuleList()
        features = 0
        for field, choices, is_grid in zip(fields, self._choices, self._is_grid, strict=True):
            if is_grid:
                height, width, planes = field.leaf.shape
                self.grids.append(_convolutions(planes))
                features += _CHANNELS * math.ceil(height / 2) * math.ceil(width / 2)
            else:
                features += choices[1] if choices else field.leaf.size
        self.joined = nn.Sequential(layer_init(nn.Linear(features, hidden_size)), nn.ReLU())
        self.decoder = ActionHeads(env, hidden_size)
        self.value_head = layer_init(nn.Linear(hidden_size, 1), std=1.0)

    def encode_observations(self, observations: Tensor) -> tuple[Tensor, None]:
        """Return ((B, hidden_size), None) for flat observations (B, ...)."""
        batch = observations.shape[0]
        found = leaves_of(unflatten(observations, self._layout))
        features, grids = [], iter(self.grids)
        for leaf, field, choices, is_grid in zip(
            found, self._layout.fields, self._choices, self._is_grid, strict=True
        ):
            if is_grid:
                features.append(next(grids)(leaf.float().permute(0, 3, 1, 2)))
            else:
                features.append(features_of(leaf.reshape(batch, -1), field, choices))
        return self.joined(torch.cat(features, 1)), None


def policy(env: HasSpaces, hidden_size: int = 128, critic: Critic = "shared") -> nn.Module:
    """Return a `Policy` if the observation has a grid, else a `pufferlib.models.Default`.

    Args:
        env: an emulated or vectorized environment.
        hidden_size: width of the hidden state.
        critic: of a Default; the other networks share theirs with the actions.
    """
    is_grid = any(len(field.leaf.shape) == 3 for field in describe(env).observation_layout.fields)
    return Policy(env, hidden_size) if is_grid else Default(env, hidden_size, critic)


def _convolutions(planes: int) -> nn.Module:
    """Return layers that map (B, planes, H, W) to features; the second layer halves the grid."""
    return nn.Sequential(
        layer_init(nn.Conv2d(planes, _CHANNELS, 3, padding=1)),
        nn.ReLU(),
        layer_init(nn.Conv2d(_CHANNELS, _CHANNELS, 3, stride=2, padding=1)),
        nn.ReLU(),
        nn.Flatten(),
    )
