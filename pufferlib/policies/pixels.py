"""Networks for observations that are an image, or an image and a few vectors."""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from pufferlib.emulation.description import HasSpaces, describe
from pufferlib.emulation.layout import Field
from pufferlib.exceptions import ArgumentError
from pufferlib.models import ActionHeads, HiddenState, choices_of, features_of, leaves_of
from pufferlib.pytorch import layer_init, unflatten


class NatureCNN(HiddenState):
    """Three convolutions and a linear layer (Mnih et al. 2015, doi:10.1038/nature14236).

    The observation is a Box of three axes, (H, W, C) or (C, H, W), or of two, (H, W); or a Dict or
    Tuple with one such Box, whose other leaves are joined after the convolutions. Among several
    Boxes with three axes the image is the uint8 one; leading axes of length 1 are ignored. uint8
    images are scaled to [0, 1]; others are used directly.

    Args:
        env: an emulated or vectorized environment, or a native one.
        hidden_size: width of the hidden state.
        is_channels_first: the image is (C, H, W); if None, the shorter of its first and its last
            axis holds the channels.

    Raises:
        ArgumentError: if the observation has no image, or several; or the image is smaller than 36
            by 36 pixels, for which the convolutions have no output.
    """

    def __init__(
        self, env: HasSpaces, hidden_size: int = 512, is_channels_first: bool | None = None
    ) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self._parts = _Parts(env, is_channels_first)
        channels, height, width = self._parts.image_shape
        if min(height, width) < _NATURE_SIDE:
            raise ArgumentError(
                f"NatureCNN needs an image of at least {_NATURE_SIDE} x {_NATURE_SIDE} pixels; "
                f"this environment's has {height} x {width}. Use Impala, which accepts any size."
            )
        self.convolutions = nn.Sequential(
            layer_init(nn.Conv2d(channels, 32, 8, stride=4)),
            nn.ReLU(),
            layer_init(nn.Conv2d(32, 64, 4, stride=2)),
            nn.ReLU(),
            layer_init(nn.Conv2d(64, 64, 3)),
            nn.ReLU(),
            nn.Flatten(),
        )
        self.joined = _joined(self.convolutions, self._parts, hidden_size)
        self.decoder = ActionHeads(env, hidden_size)
        self.value_head = layer_init(nn.Linear(hidden_size, 1), std=1.0)

    def encode_observations(self, observations: Tensor) -> tuple[Tensor, None]:
        """Return ((B, hidden_size), None) for flat observations (B, ...)."""
        image, vectors = self._parts.split(observations)
        return self.joined(torch.cat([self.convolutions(image), *vectors], 1)), None


class Impala(HiddenState):
    """The residual network of IMPALA (Espeholt et al. 2018, arXiv:1802.01561), as in Procgen.

    It accepts the same observations as `NatureCNN`, with images of any size.

    Args:
        env: an emulated or vectorized environment, or a native one.
        hidden_size: width of the hidden state.
        channels: the channels of each stage; a stage halves the image.
        width: multiplies `channels`; Cobbe et al. 2020 (arXiv:1912.01588) report 1, 2 and 4.
        is_channels_first: the image is (C, H, W); if None, the shorter of its first and its last
            axis holds the channels.

    Raises:
        ArgumentError: if the observation has no image, or several; or `channels` is empty.
    """

    def __init__(
        self,
        env: HasSpaces,
        hidden_size: int = 256,
        channels: Sequence[int] = (16, 32, 32),
        width: int = 1,
        is_channels_first: bool | None = None,
    ) -> None:
        super().__init__()
        if not channels or width < 1:
            raise ArgumentError(
                f"Impala needs at least one stage and a width of 1 or more; got "
                f"channels={list(channels)}, width={width}."
            )
        self.hidden_size = hidden_size
        self._parts = _Parts(env, is_channels_first)
        counts = [self._parts.image_shape[0], *[width * count for count in channels]]
        branch_std = 1 / math.sqrt(_BLOCKS_PER_STAGE * len(channels))
        stages = [Stage(inputs, outputs, branch_std) for inputs, outputs in pairwise(counts)]
        self.convolutions = nn.Sequential(*stages, nn.ReLU(), nn.Flatten())
        self.joined = _joined(self.convolutions, self._parts, hidden_size)
        self.decoder = ActionHeads(env, hidden_size)
        self.value_head = layer_init(nn.Linear(hidden_size, 1), std=1.0)

    def encode_observations(self, observations: Tensor) -> tuple[Tensor, None]:
        """Return ((B, hidden_size), None) for flat observations (B, ...)."""
        image, vectors = self._parts.split(observations)
        return self.joined(torch.cat([self.convolutions(image), *vectors], 1)), None


_NATURE_SIDE = 36  # the convolutions reduce it to 1 x 1
_BLOCKS_PER_STAGE = 2


class _Parts:
    """The image of an observation and its other leaves, found once."""

    def __init__(self, env: HasSpaces, is_channels_first: bool | None) -> None:
        self._layout = describe(env).observation_layout
        self._image = _find_image(self._layout.fields)
        shape = image_shape(self._layout.fields[self._image])
        if len(shape) == 2:
            shape, is_channels_first = (1, *shape), True
        self._shape = shape
        if is_channels_first is None:
            is_channels_first = shape[0] <= shape[2]
        self._is_channels_first = is_channels_first
        self._others = [
            (index, field, choices_of(field))
            for index, field in enumerate(self._layout.fields)
            if index != self._image
        ]
        order = shape if is_channels_first else (shape[2], *shape[:2])
        self.image_shape = tuple(int(n) for n in order)  # (C, h, w)
        self.vector_size = sum(
            choices[1] if choices else field.leaf.size for _, field, choices in self._others
        )

    def split(self, observations: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the image, float32 (B, C, h, w), and the other leaves, each float32 (B, n)."""
        batch = observations.shape[0]
        found = leaves_of(unflatten(observations, self._layout))
        image = found[self._image].reshape(batch, *self._shape)
        if not self._is_channels_first:
            image = image.permute(0, 3, 1, 2)
        # Convolutions are fastest in this memory format, on CPUs too: learning takes 1/3 less time.
        floats = image.to(torch.float32, memory_format=torch.channels_last)
        scaled = floats / 255 if image.dtype == torch.uint8 else floats
        vectors = [
            features_of(found[index].reshape(batch, -1), field, choices)
            for index, field, choices in self._others
        ]
        return scaled, vectors


def image_shape(field: Field) -> tuple[int, ...]:
    """Return the shape of a leaf, without leading axes of length 1 beyond three axes.

    A camera that returns one frame, (1, H, W, C), therefore counts as an image.
    """
    shape = field.leaf.shape
    while len(shape) > 3 and shape[0] == 1:
        shape = shape[1:]
    return shape


def _find_image(fields: Sequence[Field]) -> int:
    """Return the index of the leaf that is the image."""
    boxes = [index for index, field in enumerate(fields) if field.leaf.kind == "Box"]
    found = [index for index in boxes if len(image_shape(fields[index])) == 3]
    if not found:
        found = [index for index in boxes if len(fields[index].leaf.shape) == 2]
    elif len(found) > 1:
        found = [index for index in found if fields[index].leaf.dtype == np.uint8]
    if len(found) != 1:
        shapes = ", ".join(str(field.leaf.shape) for field in fields)
        raise ArgumentError(
            f"A policy for pixels needs an observation with one image, a Box of shape (H, W, C), "
            f"(C, H, W) or (H, W); this one has {len(found)} among leaves of shapes {shapes}. "
            f"Use pufferlib.models.Default, or write a policy that joins them."
        )
    return found[0]


def _joined(convolutions: nn.Module, parts: _Parts, hidden_size: int) -> nn.Module:
    """Return the layer after the convolutions; a dry run of these determines its input width."""
    with torch.no_grad():
        features = convolutions(torch.zeros(1, *parts.image_shape)).shape[1]
    return nn.Sequential(
        layer_init(nn.Linear(features + parts.vector_size, hidden_size)), nn.ReLU()
    )


class Stage(nn.Module):
    """A convolution, a pool that halves the image, and residual blocks."""

    def __init__(self, inputs: int, outputs: int, branch_std: float = math.sqrt(2)) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            layer_init(nn.Conv2d(inputs, outputs, 3, padding=1)),
            nn.MaxPool2d(3, stride=2, padding=1),
            *[ResidualBlock(outputs, branch_std) for _ in range(_BLOCKS_PER_STAGE)],
        )

    def forward(self, image: Tensor) -> Tensor:
        return self.layers(image)


class ResidualBlock(nn.Module):
    """A residual block; its branch starts with small weights, so that depth adds little scale."""

    def __init__(self, channels: int, branch_std: float = math.sqrt(2)) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.ReLU(),
            layer_init(nn.Conv2d(channels, channels, 3, padding=1)),
            nn.ReLU(),
            layer_init(nn.Conv2d(channels, channels, 3, padding=1), std=branch_std),
        )

    def forward(self, image: Tensor) -> Tensor:
        return image + self.branch(image)
