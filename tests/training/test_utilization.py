"""The measured load covers this process and its descendants."""

import subprocess
import sys
import time

import torch

from pufferlib.training import utilization
from pufferlib.training.utilization import Utilization

SPIN = "x = bytearray(64 * 2**20)\nprint(flush=True)\nwhile True: pass"


def test_children_count_in_cores_and_memory(monkeypatch):
    monkeypatch.setattr(utilization, "usable_cores", lambda: 4)
    monkeypatch.setattr(utilization, "_INTERVAL_S", 0)
    alone_bytes = utilization._memory_bytes()
    child = subprocess.Popen([sys.executable, "-c", SPIN], stdout=subprocess.PIPE)
    try:
        child.stdout.readline()
        created_s = time.monotonic()
        measured = Utilization(torch.device("cpu"))
        began_s = time.process_time()
        time.sleep(1)
        found = measured.read()
        most_s = time.monotonic() - created_s + 0.03  # CPU time is counted in ticks of 10 ms
        assert time.process_time() - began_s < 0.5  # so the measured load is not from this process
        # A spinning child has at most one of four cores; on a busy machine less.
        assert 1 < found["utilization/cpu_percent"] <= 100 * most_s / 4
        grown_gib = found["utilization/memory_gib"] - alone_bytes / 2**30
        assert 64 / 1024 < grown_gib < 0.2
    finally:
        child.kill()
        child.communicate()


def test_it_measures_at_most_once_a_second():
    assert Utilization(torch.device("cpu")).read() == {}
