"""Tests of learning add what they have measured to a record of docs/learning.md, if one is named.

LEARN_RECORD=FILE names it, and `python benchmarks/learning_record.py FILE` adds it to the docs.
"""

import functools
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
    seeds = os.environ.get("LEARN_SEEDS", "1")
    command = f"LEARN_SEEDS={seeds} python -m pytest {shlex.join(sys.argv[1:])}"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        from learning_record import LearningRecorder

        recorder = functools.cache(LearningRecorder)  # one for a section: its rows are of one run
        yield lambda section, row: recorder(section, path and Path(path), command).add(row)
