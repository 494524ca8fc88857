"""The provenance of a run: command, commits, versions, machine; enough to reproduce it."""

import os
import platform
import socket
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from pufferlib.annotations import JsonObject
from pufferlib.cores import usable_cores
from pufferlib.references import distributions
from pufferlib.registry import EnvSource
from pufferlib.runs.folder import read_facts
from pufferlib.training import checkpoint

_PACKAGE = Path(__file__).parents[1]
_LIBRARIES = ("pufferlib", "torch", "numpy", "gymnasium")


def facts(source: EnvSource) -> JsonObject:
    """Return time, command, environment, commits, versions and machine, as JSON values.

    A commit is None where there is no repository, or no git.
    """
    family = source.family
    names = [
        name
        for package in (family.imports if family else ())
        for name in distributions().get(package, ())
    ]
    gpus = range(torch.cuda.device_count() if torch.cuda.is_available() else 0)
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": sys.orig_argv,
        "directory": os.getcwd(),
        "environment": source.origin(),
        "git": {"directory": commit(Path.cwd()), "pufferlib": _own_commit()},
        "versions": {
            "python": platform.python_version(),
            **{name: _version(name) for name in (*_LIBRARIES, *names)},
        },
        "host": socket.gethostname(),
        "platform": platform.platform(),
        "cores": usable_cores(),
        "gpus": [torch.cuda.get_device_name(index) for index in gpus],
    }


def origin(path: Path) -> JsonObject:
    """Return what a new run records of the checkpoint that it starts from, as JSON values.

    Of a copy with the item "origin", as several seeds start from: that of the original.

    Raises:
        CheckpointError: the provenance of that run is damaged.
    """
    state = checkpoint.load(path)
    run = read_facts(path.parent).get("id")
    own = {"checkpoint": str(path), "run": run, "timesteps": state["timesteps"]}
    copied: JsonObject | None = state.get("origin")
    return copied or own


def change_of_environment(folder: Path, source: EnvSource) -> str | None:
    """Return a warning if the file of a run's environment has changed since the run was made.

    Args:
        folder: of the run.
        source: its environment, as found now.

    Raises:
        CheckpointError: the provenance of the run is damaged.
    """
    facts = read_facts(folder)
    then = facts.get("resumed", [facts])[-1].get("environment", {})
    if then.get("kind") not in ("file", "module") or "sha256" not in then:
        return None
    now = source.origin()
    if now.get("sha256") == then["sha256"]:
        return None
    return (
        f"Warning: {now.get('file', source.name)} has changed since {folder} was trained; results "
        f"may differ."
    )


def commit(folder: Path) -> JsonObject | None:
    """Return the commit of the repository of `folder`, and whether files differ from it."""
    name = _git(folder, "rev-parse", "HEAD")
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    if name is None or changes is None:
        return None
    return {"commit": name, "is_dirty": changes != ""}


def _own_commit() -> JsonObject | None:
    """Return the commit of pufferlib's checkout; None if another repository contains a copy."""
    is_tracked = _git(_PACKAGE, "ls-files", "--error-unmatch", "__init__.py") is not None
    return commit(_PACKAGE) if is_tracked else None


def _git(folder: Path, *arguments: str) -> str | None:
    """Return git's output, None if it fails."""
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
