"""The container engine, for the tests of the image."""

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
IMAGE = os.environ.get("IMAGE", "")
# Steps of each training; `PUFFERLIB_DOCKER_STEPS=100000` trains for about a minute each.
STEPS = os.environ.get("PUFFERLIB_DOCKER_STEPS", "4096")


def docker(*arguments: str, check: bool = True, timeout: float = 300) -> str:
    """Run the engine's command line; return its output, stdout and stderr."""
    result = subprocess.run(
        ["docker", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert not check or result.returncode == 0, f"docker {arguments}:\n{result.stdout[-4000:]}"
    return result.stdout


def in_image(*command: str, flags: tuple[str, ...] = (), timeout: float = 300) -> str:
    """Run a command in a new container; return its output."""
    return docker("run", "--rm", *flags, IMAGE, *command, timeout=timeout)
