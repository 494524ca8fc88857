"""Choose a network by the observation space."""

import numpy as np
from gymnasium.spaces import Discrete
from torch import nn

from pufferlib.emulation.description import HasSpaces, describe
from pufferlib.emulation.layout import Field
from pufferlib.models import Critic, Default
from pufferlib.policies.grid import GridPolicy
from pufferlib.policies.masked import MaskedDefault
from pufferlib.policies.pixels import NatureCNN, image_shape


def policy_of(env: HasSpaces, hidden_size: int = 128, critic: Critic = "shared") -> nn.Module:
    """Return a NatureCNN for an image, a GridPolicy for a grid of cells, else a Default.

    A Dict whose "action_mask" has a number for each Discrete action gets a MaskedDefault. An image
    is the only uint8 Box with three axes, of at least 36 by 36; leading axes of length 1 are
    ignored. A grid is the only Box with three axes, of at least 3 by 3.

    Args:
        env: an emulated or vectorized environment.
        hidden_size: width of the hidden state.
        critic: of a Default; the other networks share theirs with the actions.
    """
    layout = describe(env).observation_layout
    actions = env.single_action_space
    masks = [field.leaf for field in layout.fields if tuple(field.leaf.path) == ("action_mask",)]
    if masks and isinstance(actions, Discrete) and masks[0].size == actions.n:
        return MaskedDefault(env, hidden_size, critic)
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
    return Default(env, hidden_size, critic)


def _side(field: Field) -> int:
    """Return the shorter side of an image or grid, with channels on either end."""
    return sorted(image_shape(field))[1]
