"""Flatten the spaces of any Gymnasium or PettingZoo environment to a fixed size, without loss.

`layout` compiles observation spaces and `actions` compiles action spaces; `single` and `multi` wrap
environments with them. `native` makes any environment a `PufferEnv`; `native_single` and
`native_multi` make a `PufferEnv` an environment of Gymnasium or PettingZoo.
"""

from typing import TYPE_CHECKING

from pufferlib.emulation.actions import ActionLayout
from pufferlib.emulation.layout import Layout
from pufferlib.emulation.multi import PettingZooPufferEnv
from pufferlib.emulation.native import native
from pufferlib.emulation.native_multi import to_pettingzoo
from pufferlib.emulation.native_single import to_gymnasium
from pufferlib.emulation.single import GymnasiumPufferEnv
from pufferlib.published_names import names_of

__all__ = [
    "ActionLayout",
    "GymnasiumPufferEnv",
    "Layout",
    "PettingZooPufferEnv",
    "native",
    "to_gymnasium",
    "to_pettingzoo",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = names_of(__name__)
