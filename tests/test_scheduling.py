"""The heavy files have a separate worker, and every test runs once."""

import os
import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("xdist")

TESTS = Path(__file__).parent
NOTE = """
import os

import pytest


def note(name):
    with open("ran", "a") as file:
        file.write(f"{name} {os.environ['PYTEST_XDIST_WORKER']}\\n")


@pytest.mark.parametrize("n", range(4))
def test_passes(n):
    note(f"{__file__}-{n}")
"""
CRASH = """

def test_crashes():
    note("crash")
    os.kill(os.getpid(), 9)


def test_passes_after():
    note("after")
"""


def run(folder: Path, *arguments: str) -> tuple[str, Counter[str], dict[str, set[str]]]:
    """Return the output, how often each test ran, and the workers of each folder."""
    for name in ("conftest.py", "heavy.py"):
        (folder / "tests" / name).write_text((TESTS / name).read_text())
    (folder / "pytest.ini").write_text(
        "[pytest]\ntestpaths = tests\npythonpath = tests\naddopts = --import-mode=importlib\n"
    )
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "3", "--dist", "loadfile", "-ra", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{TESTS}{os.pathsep}{TESTS.parent}"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    ran, workers = Counter[str](), dict[str, set[str]]()
    for line in (folder / "ran").read_text().splitlines() if (folder / "ran").exists() else ():
        name, worker = line.split()
        ran[name] += 1
        workers.setdefault(Path(name).parent.name, set()).add(worker)
    return result.stdout + result.stderr, ran, workers


@pytest.fixture
def suite(tmp_path):
    """Return a folder with two heavy files and four others."""
    (tmp_path / "pufferlib/frameworks").mkdir(parents=True)
    for name in ("frameworks", "learn", "policies", "registry", "vector"):
        (tmp_path / "tests" / name).mkdir(parents=True)
    for name in ("frameworks/test_a", "registry/test_b", "policies/test_c", "vector/test_d"):
        (tmp_path / "tests" / f"{name}.py").write_text(NOTE)
    return tmp_path


@pytest.mark.long
def test_heavy_files_have_a_worker_and_one_that_replaces_it(suite):
    (suite / "tests/registry/test_b.py").write_text(NOTE + CRASH)
    output, ran, workers = run(suite)
    assert "1 failed, 17 passed" in output, output
    assert re.search(r"FAILED tests/registry/test_b.py::test_crashes", output)
    assert set(ran.values()) == {1}
    assert len(ran) == 18
    assert workers["frameworks"] == {"gw0"}
    assert workers["registry"] == {"gw0"}
    assert ran["after"] == 1
    assert workers["policies"] | workers["vector"] <= {"gw1", "gw2"}


@pytest.mark.long
def test_files_with_many_tests_come_first_and_those_that_leave_threads_last(suite):
    counts = {"policies/test_c": 2, "vector/test_d": 8, "registry/test_b": 9}
    for name, count in counts.items():
        text = NOTE.replace("range(4)", f"range({count})")
        (suite / f"tests/{name}.py").write_text(text)
    with (suite / "tests/policies/test_c.py").open("a") as file:
        file.write('\n\n@pytest.mark.parametrize("n", range(20))\ndef test_left_out(n): ...\n')
    output, ran, _ = run(suite, "-n", "1", "-k", "not left_out")
    assert "23 passed" in output
    files = dict.fromkeys(Path(name.rpartition("-")[0]).stem for name in ran)
    assert list(files) == ["test_d", "test_a", "test_c", "test_b"]


@pytest.mark.long
def test_a_part_without_tests_fails_nothing(suite):
    output, ran, _ = run(suite, "-k", "test_c")
    assert "4 passed" in output, output
    assert len(ran) == 4


@pytest.mark.long
def test_a_worker_that_cannot_collect_fails_the_run(suite):
    with (suite / "tests/registry/conftest.py").open("w") as file:
        file.write("import pytest\n\n\ndef pytest_collection_modifyitems():\n")
        file.write("    raise pytest.UsageError\n")
    output, _, _ = run(suite)
    assert "could not collect its files" in output, output


@pytest.mark.long
def test_another_file_that_imports_what_is_heavy_fails(suite):
    pytest.importorskip("pygame")
    (suite / "tests/vector/test_d.py").write_text("import pygame\n" + NOTE)
    output, _, _ = run(suite)
    assert "ERROR tests/vector/test_d.py" in output, output
    assert "The file imports pygame" in output


def test_no_doctest_is_where_none_is_collected():
    options = tomllib.loads((TESTS.parent / "pyproject.toml").read_text())["tool"]["pytest"]
    ignored = re.findall(r"--ignore=(\S+)", options["ini_options"]["addopts"])
    files = [file for folder in ignored for file in (TESTS.parent / folder).rglob("*.py")]
    assert len(files) > 30
    assert [str(file) for file in files if ">>>" in file.read_text()] == []
