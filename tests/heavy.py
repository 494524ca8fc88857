"""The tests whose files import much, and what no other test file imports while it is collected.

Environments' packages and the other libraries take more than a GB and start threads. `conftest`
gives their files a separate worker of pytest-xdist: the others start sooner, and what they fork
is small.
"""

import sys
from pathlib import Path

_ROOT = Path(__file__).parents[1]
FILES = [
    str(_ROOT / name)
    for name in (
        "pufferlib/frameworks",
        "tests/examples/test_rllib.py",
        "tests/frameworks",
        "tests/learn",
        "tests/matches",
        "tests/policies/test_connect_four.py",
        "tests/registry",
    )
]
_MODULES = {
    "dm_control",
    "mujoco",
    "nle",
    "nmmo",
    "numba",
    "pygame",
    "pyspiel",
    "ray.rllib",
    "tensordict",
    "torchrl",
}


def loaded() -> set[str]:
    """Return which of the large packages this process has imported."""
    return _MODULES & sys.modules.keys()
