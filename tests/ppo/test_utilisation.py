"""The machine's load is that of this process and all that it started."""

import subprocess
import sys
import time

import pytest
import torch

from pufferlib.ppo import utilisation
from pufferlib.ppo.utilisation import Utilisation

SPIN = "x = bytearray(64 * 2**20)\nprint(flush=True)\nwhile True: pass"


@pytest.mark.timeout(60)
def test_children_count_in_cores_and_memory(monkeypatch):
    monkeypatch.setattr(utilisation, "usable_cores", lambda: 4)
    monkeypatch.setattr(utilisation, "_INTERVAL_S", 0)
    alone_bytes = utilisation._memory_bytes()
    child = subprocess.Popen([sys.executable, "-c", SPIN], stdout=subprocess.PIPE)
    try:
        child.stdout.readline()
        measured = Utilisation(torch.device("cpu"))
        began_s = time.process_time()
        time.sleep(1)
        found = measured.read()
        assert time.process_time() - began_s < 0.5  # whatever it finds is not this process's
        # A spinning child has at most one of four cores; on a busy machine less.
        assert 1 < found["utilisation/cpu_percent"] <= 27
        grown_gib = found["utilisation/memory_gib"] - alone_bytes / 2**30
        assert 64 / 1024 < grown_gib < 0.2
    finally:
        child.kill()
        child.communicate()


def test_it_measures_at_most_once_a_second():
    assert Utilisation(torch.device("cpu")).read() == {}
