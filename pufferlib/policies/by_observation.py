"""The network that suits what an environment of a mixed family observes."""

from typing import Any

import numpy as np
from torch import nn

from pufferlib.emulation.layout import Field, Layout
from pufferlib.models import Default
from pufferlib.policies.grid import GridPolicy
from pufferlib.policies.pixels import NatureCNN, image_shape


def policy_of(env: Any, hidden_size: int = 128) -> nn.Module:
    """Return a NatureCNN for an image, a GridPolicy for a grid of cells, else a Default.

    An image is a Box of bytes of three axes, of 36 by 36 or more, and the only one; leading axes of
    length 1 do not count. A grid is another Box of three axes, of 3 by 3 or more, if there is no
    second.

    Args:
        env: an emulated or vectorized environment.
        hidden_size: width of the hidden state.
    """
    layout: Layout = getattr(env, "observation_layout", None) or Layout.of(
        env.single_observation_space
    )
    boxes = [
        field
        for field in layout.fields
        if field.leaf.kind == "Box" and len(image_shape(field)) == 3
    ]
    images = [field for field in boxes if field.leaf.dtype == np.uint8]
    if len(images) == 1 and _side(images[0]) >= 36:
        return NatureCNN(env, hidden_size=hidden_size)
    if len(boxes) == 1 and len(boxes[0].leaf.shape) == 3 and _side(boxes[0]) >= 3:
        return GridPolicy(env, hidden_size=hidden_size)
    return Default(env, hidden_size)


def _side(field: Field) -> int:
    """Return the shorter side of an image or grid, whichever axis is that of its channels."""
    return sorted(image_shape(field))[1]
