"""The compiled twin where it was built, else the plain one.

PUFFERLIB_NO_EXTENSIONS=1 in the environment asks for the plain one, when installing and when
running.
"""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING or os.environ.get("PUFFERLIB_NO_EXTENSIONS", "") not in ("", "0"):
    from pufferlib.emulation._plain import AgentRows, Plan, StepRow, StepRows, present

    IS_COMPILED = False
else:
    try:
        from pufferlib.emulation._compiled import AgentRows, Plan, StepRow, StepRows, present

        IS_COMPILED = True
    except ModuleNotFoundError:  # no compiler when it was installed
        from pufferlib.emulation._plain import AgentRows, Plan, StepRow, StepRows, present

        IS_COMPILED = False

__all__ = ["IS_COMPILED", "AgentRows", "Plan", "StepRow", "StepRows", "present"]
