"""Tests of learning add what they have measured to a record of docs/learning.md, if one is named.

LEARN_RECORD=FILE names it, and `python benchmarks/learning_record.py FILE` adds it to the docs.
"""

import os
import shlex
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="session")
def keep():
    """A function that adds a row to a section of the record, if there is one."""
    path = os.environ.get("LEARN_RECORD")
    if path and "PYTEST_XDIST_WORKER" in os.environ:
        raise ValueError("LEARN_RECORD is written by one process. Leave out -n, or give -n 0.")
    seeds = os.environ.get("LEARN_SEEDS", "1")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        from learning_record import LearningRecorder
        from record import threads, without_folders

        tests = shlex.join(without_folders(sys.argv[1:]))
        command = f"{threads()}LEARN_SEEDS={seeds} python -m pytest {tests}"
        yield LearningRecorder(Path(path) if path else None, command).add
