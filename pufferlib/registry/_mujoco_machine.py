"""MuJoCo on a machine without a display, in a directory that may be read-only."""

import importlib
import logging
import os
from typing import Any

_log = logging.getLogger(__name__)
_DEPRECATED = "compiler attribute 'settotalmass' is deprecated"  # in Gymnasium's half cheetah


def mujoco() -> Any:
    """Return the module mujoco.

    Its warnings go to `logging`, not to a file MUJOCO_LOG.TXT in the working directory. Pictures
    are drawn with EGL where there is no display and the variable MUJOCO_GL says nothing else.
    """
    if not os.environ.get("DISPLAY"):
        os.environ.setdefault("MUJOCO_GL", "egl")
    module = importlib.import_module("mujoco")
    module.set_mju_user_warning(_pass_on)
    return module


def _pass_on(message: str) -> None:
    if _DEPRECATED not in message:
        _log.warning("MuJoCo: %s", message)
