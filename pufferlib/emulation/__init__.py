"""Flatten the spaces of any Gymnasium or PettingZoo environment to a fixed size, without loss.

`layout` compiles observation spaces and `actions` compiles action spaces; `single` and `multi` wrap
environments with them.
"""

from pufferlib.emulation.actions import ActionLayout
from pufferlib.emulation.layout import Layout
from pufferlib.emulation.multi import PettingZooPufferEnv
from pufferlib.emulation.native import native
from pufferlib.emulation.single import GymnasiumPufferEnv

__all__ = ["ActionLayout", "GymnasiumPufferEnv", "Layout", "PettingZooPufferEnv", "native"]
