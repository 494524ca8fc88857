"""Ray for tests: started once, small, with the tests' own modules importable in its actors."""

import contextlib
import os
import time
from pathlib import Path

import pytest
from vector_processes import children

SMALL = {"object_store_memory": 100_000_000, "include_dashboard": False}
# Ray leaves the logs that it opens to the collector, and does not wait for all its processes.
FILTERS = [
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:subprocess [0-9]+ is still running:ResourceWarning"),
]


@contextlib.contextmanager
def importable():
    """Let processes that are started meanwhile import what stands beside this file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
        patch.delenv("RAY_ADDRESS", raising=False)
        yield


def wait_until(is_so, deadline_s=30):
    """Return whether `is_so()` becomes true before the deadline."""
    end_s = time.monotonic() + deadline_s
    while not is_so() and time.monotonic() < end_s:
        time.sleep(0.05)
    return is_so()


def end(ray):
    """Shut Ray down; no process of it may be left."""
    ray.shutdown()
    assert wait_until(lambda: children() == set())
