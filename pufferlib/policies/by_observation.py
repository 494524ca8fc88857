"""The network that suits what an environment of a mixed family observes."""

from typing import Any

import numpy as np
from torch import nn

from pufferlib.emulation.layout import Field, Layout
from pufferlib.models import Default


def policy_of(env: Any, hidden_size: int = 128) -> nn.Module:
    """Return a NatureCNN where the observation has an image, a Default where it has none.

    Args:
        env: an emulated or vectorized environment.
        hidden_size: width of the hidden state.
    """
    layout: Layout = getattr(env, "observation_layout", None) or Layout.of(
        env.single_observation_space
    )
    if not any(is_image(field) for field in layout.fields):
        return Default(env, hidden_size)
    from pufferlib.policies.pixels import NatureCNN

    return NatureCNN(env, hidden_size=hidden_size)


def is_image(field: Field) -> bool:
    """Tell whether a leaf is an image: bytes in rows, columns and channels, 36 by 36 or more."""
    shape = field.leaf.shape
    return field.leaf.dtype == np.uint8 and len(shape) == 3 and sorted(shape)[1] >= 36
