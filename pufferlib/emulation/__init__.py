"""Flatten the spaces of any Gymnasium or PettingZoo environment to a fixed size, without loss.

`layout` compiles observation spaces and `actions` compiles action spaces; `single` and `multi` wrap
environments with them.
"""

from typing import TYPE_CHECKING

from pufferlib.emulation.actions import ActionLayout
from pufferlib.emulation.layout import Layout
from pufferlib.emulation.multi import PettingZooPufferEnv
from pufferlib.emulation.native import native
from pufferlib.emulation.single import GymnasiumPufferEnv
from pufferlib.published_names import names_of

__all__ = ["ActionLayout", "GymnasiumPufferEnv", "Layout", "PettingZooPufferEnv", "native"]

if not TYPE_CHECKING:
    __getattr__ = names_of(__name__)
