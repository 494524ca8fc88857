"""Import MuJoCo for a machine without a display and a read-only working directory."""

import ctypes
import importlib
import logging
import os
from typing import Any

_log = logging.getLogger(__name__)
_DEPRECATED = "compiler attribute 'settotalmass' is deprecated"  # in the model of the cheetahs
_LIBRARIES = {"egl": "libEGL.so.1", "osmesa": "libOSMesa.so.8"}


def mujoco() -> Any:
    """Return the module mujoco.

    Its warnings go to `logging`, not to a file MUJOCO_LOG.TXT in the working directory. Without a
    display, and if MUJOCO_GL is not set, it renders with EGL or OSMesa, whichever is installed.
    """
    if not os.environ.get("DISPLAY") and "MUJOCO_GL" not in os.environ:
        found = [name for name, library in _LIBRARIES.items() if _loads(library)]
        os.environ.update({"MUJOCO_GL": found[0]} if found else {})
    module: Any = importlib.import_module("mujoco")
    module.set_mju_user_warning(_pass_on)
    return module


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _pass_on(message: str) -> None:
    if _DEPRECATED not in message:
        _log.warning("MuJoCo: %s", message)
