"""Adapters for environments with the interface of an earlier gym, Gymnasium or PettingZoo.

`recognition` finds such environments and explains what is old about them; `gym` and `pettingzoo`
adapt them.
"""

from pufferlib.old_interfaces.gym import OldGymEnv
from pufferlib.old_interfaces.pettingzoo import OldAECEnv, OldParallelEnv
from pufferlib.old_interfaces.recognition import (
    adapted,
    checked_reset,
    explain_step,
    five_results,
    old_interfaces,
)

__all__ = [
    "OldAECEnv",
    "OldGymEnv",
    "OldParallelEnv",
    "adapted",
    "checked_reset",
    "explain_step",
    "five_results",
    "old_interfaces",
]
