"""A policy for the Butterfly games: convolutions for images, linear layers otherwise."""

from torch import nn

from pufferlib.emulation.description import HasSpaces, describe
from pufferlib.models import Critic, Default
from pufferlib.policies.pixels import NatureCNN


def policy(env: HasSpaces, hidden_size: int = 128, critic: Critic = "shared") -> nn.Module:
    """Return a `NatureCNN` if the observation is an image, else a `Default`.

    Args:
        env: an emulated or vectorized environment.
        hidden_size: width of the hidden state.
        critic: of a Default; the other networks share theirs with the actions.
    """
    layout = describe(env).observation_layout
    is_image = len(layout.fields) == 1 and len(layout.fields[0].leaf.shape) == 3
    if is_image:
        return NatureCNN(env, hidden_size, is_channels_first=True)
    return Default(env, hidden_size, critic)
