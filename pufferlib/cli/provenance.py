"""What a run was made with and where: enough to make it again."""

import os
import platform
import socket
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import Any

import torch

from pufferlib.cores import usable_cores
from pufferlib.registry import Family

_PACKAGE = Path(__file__).parents[1]
_LIBRARIES = ("pufferlib", "torch", "numpy", "gymnasium")


def facts(family: Family) -> dict[str, Any]:
    """Return what JSON takes: time, command, commits, versions, machine.

    A commit is None where there is no repository, or no git.
    """
    brought_by = packages_distributions()
    distributions = [name for package in family.imports for name in brought_by.get(package, ())]
    gpus = range(torch.cuda.device_count() if torch.cuda.is_available() else 0)
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": sys.orig_argv,
        "directory": os.getcwd(),
        "git": {"directory": commit(Path.cwd()), "pufferlib": _own_commit()},
        "versions": {
            "python": platform.python_version(),
            **{name: _version(name) for name in (*_LIBRARIES, *distributions)},
        },
        "host": socket.gethostname(),
        "platform": platform.platform(),
        "cores": usable_cores(),
        "gpus": [torch.cuda.get_device_name(index) for index in gpus],
    }


def commit(folder: Path) -> dict[str, Any] | None:
    """Return the commit of the repository that `folder` is in, and whether files differ from it."""
    name = _git(folder, "rev-parse", "HEAD")
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    if name is None or changes is None:
        return None
    return {"commit": name, "is_dirty": changes != ""}


def _own_commit() -> dict[str, Any] | None:
    """Return that of pufferlib's checkout; an installed copy in someone's repository has none."""
    is_tracked = _git(_PACKAGE, "ls-files", "--error-unmatch", "__init__.py") is not None
    return commit(_PACKAGE) if is_tracked else None


def _git(folder: Path, *arguments: str) -> str | None:
    """Return what git prints, None if it cannot answer."""
    try:
        result = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() if result.returncode == 0 else None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
