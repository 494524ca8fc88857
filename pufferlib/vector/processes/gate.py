"""The compiled gate if it was built, else the plain one; see `_gate_plain`."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING or os.environ.get("PUFFERLIB_NO_EXTENSIONS", "") not in ("", "0"):
    from pufferlib.vector.processes._gate_plain import LINE, Gate
else:
    try:
        from pufferlib.vector.processes._gate import LINE, Gate
    except ModuleNotFoundError:  # no compiler when it was installed, or not Linux
        from pufferlib.vector.processes._gate_plain import LINE, Gate

__all__ = ["LINE", "Gate"]
