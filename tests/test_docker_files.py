"""The image's files agree with the registry, pyproject.toml and the Makefile."""

import json
import re
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[1]


def test_the_lists_equal_the_output_of_lock():
    script = "import json, sys; sys.path.insert(0, 'docker')\n"
    script += "import lock; print(json.dumps(lock.lists()))"
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name, text in json.loads(result.stdout).items():
        assert (ROOT / "docker" / name).read_text() == text, "Run: make lists"


@pytest.mark.parametrize("config", ["devcontainer.json", "gpu/devcontainer.json"])
def test_a_devcontainer_names_files_and_a_stage_that_exist(config):
    path = ROOT / ".devcontainer" / config
    text = re.sub(r"^\s*//.*$", "", path.read_text(), flags=re.MULTILINE)
    build = json.loads(text)["build"]
    dockerfile = path.parent / build["dockerfile"]
    assert f" AS {build['target']}" in dockerfile.read_text()
    assert (path.parent / build["context"]).resolve() == ROOT


def test_editor_tasks_are_makefile_targets():
    tasks = json.loads((ROOT / ".vscode" / "tasks.json").read_text())["tasks"]
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {task["command"].split()[1] for task in tasks} <= targets


def test_the_image_has_the_torch_of_the_constraints():
    (version,) = re.findall(
        r"^ARG TORCH_VERSION=(\S+)$", (ROOT / "docker" / "Dockerfile").read_text(), re.MULTILINE
    )
    assert f"torch=={version}" in (ROOT / "constraints.txt").read_text().splitlines()


def test_pinned_versions_run_on_the_first_python_3_11():
    """The image has Debian's Python, which is older than that of most machines."""
    as_is = (ROOT / "docker" / "requirements-as-is.txt").read_text().splitlines()
    pins = set((ROOT / "constraints.txt").read_text().splitlines()) - set(as_is)
    refused = {
        pin: needs
        for found in distributions()
        if (pin := f"{found.metadata['Name']}=={found.version}") in pins
        and (needs := found.metadata.get("Requires-Python"))
        and not SpecifierSet(needs).contains("3.11.0")
    }
    assert not refused, "pin an earlier version"


def test_the_image_has_what_tests_of_learning_libraries_skip_without():
    tests = (ROOT / "tests" / "frameworks").rglob("test_*.py")
    needed = {
        module
        for path in tests
        for module in re.findall(r'importorskip\(f?"(\w+)', path.read_text())
    }
    lists = [ROOT / "docker" / name for name in ("requirements.txt", "requirements-dev.txt")]
    listed = {re.match(r"\w*", line)[0] for path in lists for line in path.read_text().split("\n")}
    assert {"ray", "torchrl"} < needed
    assert needed - {"pufferlib", "torch"} <= listed  # torch has a separate layer
