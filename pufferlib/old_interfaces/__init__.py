"""Adapters for environments with the interface of an earlier gym, Gymnasium or PettingZoo.

`recognition` finds such environments and explains what is old about them; `gym` and `pettingzoo`
adapt them.
"""

from pufferlib.old_interfaces.gym import OldGymEnv
from pufferlib.old_interfaces.pettingzoo import OldAECEnv, OldParallelEnv
from pufferlib.old_interfaces.recognition import (
    adapted,
    checked_reset,
    old_interfaces,
    wrong_step,
)

__all__ = [
    "OldAECEnv",
    "OldGymEnv",
    "OldParallelEnv",
    "adapted",
    "checked_reset",
    "old_interfaces",
    "wrong_step",
]
