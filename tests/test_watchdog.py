"""A test that hangs fails alone: the others run, in the same file too."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from vector_processes import living_after

pytest.importorskip("xdist")

TESTS = Path(__file__).parent
LIMIT_S = 2
CASES = f"""
import ctypes
import os
import time
from pathlib import Path

import pytest

hangs = pytest.mark.timeout({LIMIT_S})


def lock_twice(library):
    mutex = ctypes.create_string_buffer(64)
    library.pthread_mutex_lock(mutex)
    library.pthread_mutex_lock(mutex)  # waits for ever; a signal does not end it


def note(pid):
    with open("pids", "a") as file:
        file.write(f"{{pid}} ")


def test_passes_before():
    pass


@hangs
def test_sleeps():
    time.sleep(600)


@hangs
def test_hangs_in_c():
    note(os.getpid())
    lock_twice(ctypes.CDLL(None))


@hangs
def test_hangs_in_c_and_lets_no_other_thread_run():
    lock_twice(ctypes.PyDLL(None))


@hangs
def test_waits_for_a_fork_that_hangs():
    child = os.fork()
    if child == 0:
        lock_twice(ctypes.PyDLL(None))
    note(child)
    os.waitpid(child, 0)


@hangs
def test_hangs_in_c_with_a_fork_that_hangs():
    child = os.fork()
    if child == 0:
        lock_twice(ctypes.PyDLL(None))
    note(child)
    lock_twice(ctypes.PyDLL(None))


def test_leaves_a_process():
    child = os.fork()
    if child == 0:
        time.sleep(600)
    note(child)


def test_passes_after():
    pass
"""


@pytest.mark.long
def test_a_test_that_hangs_fails_alone(tmp_path):
    conftest = (TESTS / "conftest.py").read_text()
    for slow, quick in (("GRACE_S = 30", "GRACE_S = 8"), ("deadline_s=60", "deadline_s=1")):
        assert slow in conftest
        conftest = conftest.replace(slow, quick)
    (tmp_path / "conftest.py").write_text(conftest)
    (tmp_path / "test_cases.py").write_text(CASES)
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "1", "--dist", "loadfile", "-ra", "test_cases.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{TESTS}{os.pathsep}{TESTS.parent}"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    outcomes = set(
        re.findall(r"^(FAILED|ERROR) test_cases\.py::(\w+)", result.stdout, re.MULTILINE)
    )
    assert outcomes == {
        ("FAILED", "test_sleeps"),
        ("FAILED", "test_hangs_in_c"),
        ("FAILED", "test_hangs_in_c_and_lets_no_other_thread_run"),
        ("FAILED", "test_waits_for_a_fork_that_hangs"),
        ("ERROR", "test_waits_for_a_fork_that_hangs"),  # its process is left
        ("FAILED", "test_hangs_in_c_with_a_fork_that_hangs"),
        ("ERROR", "test_leaves_a_process"),
    }, result.stdout + result.stderr
    assert "5 failed, 3 passed, 2 errors" in result.stdout
    assert "test_cases.py::test_hangs_in_c hangs where no exception ends it." in result.stderr
    assert "in lock_twice" in result.stderr
    pids = {int(pid) for pid in (tmp_path / "pids").read_text().split()}
    assert living_after(pids, deadline_s=60) == set()
