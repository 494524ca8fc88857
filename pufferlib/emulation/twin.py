"""Import the compiled twin if it was built, else the plain one.

Set the environment variable PUFFERLIB_NO_EXTENSIONS=1 to use the plain one, at installation or at
run time.
"""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING or os.environ.get("PUFFERLIB_NO_EXTENSIONS", "") not in ("", "0"):
    from pufferlib.emulation._plain import AgentRows, NextStepRow, Plan, StepRow, StepRows, present

    IS_COMPILED = False
else:
    try:
        from pufferlib.emulation._compiled import (
            AgentRows,
            NextStepRow,
            Plan,
            StepRow,
            StepRows,
            present,
        )

        IS_COMPILED = True
    except ModuleNotFoundError:  # installed without a compiler
        from pufferlib.emulation._plain import (
            AgentRows,
            NextStepRow,
            Plan,
            StepRow,
            StepRows,
            present,
        )

        IS_COMPILED = False

__all__ = ["IS_COMPILED", "AgentRows", "NextStepRow", "Plan", "StepRow", "StepRows", "present"]
