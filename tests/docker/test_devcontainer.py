"""The devcontainers come up through the official command line, and `make` works at once."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from docker_engine import ROOT, docker

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(1800)]


def has_gpu_runtime():
    return "nvidia" in docker("info", "--format", "{{json .Runtimes}}", check=False)


def devcontainer(*arguments, cwd):
    command = ["devcontainer", *arguments]
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=1700, check=False
    )


def ignored(folder, names):
    """Return what a clone does not have."""
    top = {".git", ".venv", "runs", "build"} if Path(folder) == ROOT else set()
    patterns = shutil.ignore_patterns("*.so", ".*_cache", ".hypothesis", "__pycache__")
    return top | patterns(folder, names)


@pytest.mark.parametrize("config", ["devcontainer.json", "gpu/devcontainer.json"])
def test_it_comes_up_tests_an_environment_and_builds_the_site(config, tmp_path):
    if not shutil.which("devcontainer"):
        pytest.skip("the devcontainer command line is not installed")
    if config.startswith("gpu") and not has_gpu_runtime():
        pytest.skip("this engine has no NVIDIA runtime")
    workspace = tmp_path / "pufferlib"
    shutil.copytree(ROOT, workspace, ignore=ignored)
    subprocess.run(["chmod", "-R", "a+rwX", str(workspace)], check=True)
    where = [
        "--workspace-folder",
        str(workspace),
        "--config",
        str(workspace / ".devcontainer" / config),
    ]
    up = devcontainer("up", *where, cwd=workspace)
    assert up.returncode == 0, up.stdout[-2000:] + up.stderr[-2000:]
    container = json.loads(up.stdout.splitlines()[-1])["containerId"]
    try:
        run = devcontainer("exec", *where, "make", "test-env", "ENV=nethack", cwd=workspace)
        assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-2000:]
        assert re.search(r"passed", run.stdout)
        run = devcontainer("exec", *where, "make", "docs", cwd=workspace)
        assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-2000:]
        assert (workspace / "build" / "site" / "your-own-environment.html").is_file()
    finally:
        docker("rm", "--force", container)
