"""After every test here, no process and no descriptor may be left."""

import gc

import pytest
from vector_processes import children, end_and_reap, open_descriptors, start_helpers

from pufferlib import vector


@pytest.fixture(autouse=True)
def nothing_left():
    start_helpers()
    gc.collect()  # the garbage of earlier tests may own descriptors
    gc.freeze()  # the next collection skips what lives by now, which takes a tenth of a second
    before = open_descriptors()
    yield
    left = children()
    end_and_reap(left)
    assert left == set()
    assert open_descriptors() == before


@pytest.fixture
def _patient(monkeypatch):
    """Give workers a minute to close their environments, instead of a second."""
    monkeypatch.setattr("pufferlib.vector.processes.worker_process.GRACE_S", 60.0)
    monkeypatch.setattr("pufferlib.vector.ray.workers._GRACE_S", 60.0)


@pytest.fixture(params=["serial", "one worker", "two workers"])
def make(request):
    """`pufferlib.vector.make` for each backend; closes what it made."""
    backends = {
        "serial": {"backend": vector.Serial},
        "one worker": {"backend": vector.Multiprocessing, "num_workers": 1},
        "two workers": {"backend": vector.Multiprocessing, "num_workers": 2},
    }
    made = []

    def make(*args, **kwargs):
        made.append(vector.make(*args, **backends[request.param], **kwargs))
        return made[-1]

    yield make
    for envs in made:
        envs.close()
