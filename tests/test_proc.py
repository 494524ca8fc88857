"""What /proc says of real processes, compared with what the processes say of themselves."""

import multiprocessing
import os
import resource
import subprocess
import sys
import time

import pytest

from pufferlib import proc

SLEEP = [sys.executable, "-S", "-c", "import time; time.sleep(600)"]
# Starts a sleeping process, prints its id, and waits for a line.
PARENT = f"""
import subprocess, sys
child = subprocess.Popen({SLEEP!r})
print(child.pid, flush=True)
input()
child.kill()
"""


@pytest.fixture(params=["children files", "scan of all processes"])
def _way(request, monkeypatch):
    if request.param == "scan of all processes":
        monkeypatch.setattr(proc, "_has_children_files", lambda: False)
    elif not proc._has_children_files():
        pytest.skip("this kernel has no children files")


def ids(processes):
    return [process.pid for process in processes]


@pytest.mark.usefixtures("_way")
def test_descendants_are_children_and_their_children():
    before = ids(proc.descendants())
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        grandchild = int(child.stdout.readline())
        try:
            new = [each for each in proc.descendants() if each.pid not in before]
            assert ids(new) == [child.pid, grandchild]
            assert [each.parent for each in new] == [os.getpid(), child.pid]
            assert ids(proc.descendants(child.pid)) == [grandchild]
            assert proc.descendants(grandchild) == []
        finally:
            child.communicate(b"\n")
    assert ids(proc.descendants()) == before


ADOPTER = """
import subprocess
from pufferlib import proc
proc.adopt_orphans()
shell = ["sh", "-c", "sleep 60 >/dev/null & echo $!"]
done = subprocess.run(shell, start_new_session=True, stdout=subprocess.PIPE)
orphan = int(done.stdout)
print([each.pid for each in proc.descendants()] == [orphan])
proc.kill(proc.descendants())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
def test_orphans_are_descendants_of_the_process_that_adopts_them():
    done = subprocess.run([sys.executable, "-c", ADOPTER], stdout=subprocess.PIPE, text=True)
    assert done.stdout == "True\n"


@pytest.mark.usefixtures("_way")
def test_a_zombie_is_a_descendant_until_it_is_waited_for():
    with subprocess.Popen([sys.executable, "-S", "-c", ""], stdout=subprocess.PIPE) as child:
        child.stdout.read()  # until it closes its end
        end_s = time.monotonic() + 120
        while proc.read(child.pid).state != "Z" and time.monotonic() < end_s:
            time.sleep(0.01)
        assert proc.read(child.pid).state == "Z"
        assert child.pid in ids(proc.descendants())
    assert proc.read(child.pid) is None
    assert child.pid not in ids(proc.descendants())


def test_a_name_may_contain_anything(tmp_path):
    odd = tmp_path / ") S 1 (a"
    odd.symlink_to("/bin/sleep")
    with subprocess.Popen([str(odd), "60"]) as child:
        end_s = time.monotonic() + 120
        while proc.read(child.pid).name != odd.name and time.monotonic() < end_s:
            time.sleep(0.01)  # until it has executed the program
        assert proc.read(child.pid).name == odd.name
        assert proc.read(child.pid).parent == os.getpid()
        child.kill()


def spin(seconds):
    while time.process_time() < seconds:
        pass


def test_cpu_seconds_are_those_of_the_process_and_of_its_ended_children():
    context = multiprocessing.get_context("fork")
    before = proc.read(os.getpid())
    own_s, children = time.process_time(), resource.getrusage(resource.RUSAGE_CHILDREN)
    spin(own_s + 0.2)
    child = context.Process(target=spin, args=(0.3,))
    child.start()
    child.join()
    after, own_after_s = proc.read(os.getpid()), time.process_time()
    assert after.cpu_s - before.cpu_s == pytest.approx(own_after_s - own_s, abs=0.05)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    used_s = used.ru_utime + used.ru_stime - children.ru_utime - children.ru_stime
    assert used_s >= 0.3
    grown_s = after.ended_children_cpu_s - before.ended_children_cpu_s
    assert grown_s == pytest.approx(used_s, abs=0.05)


def test_memory_that_is_written_to_is_resident():
    before, _ = proc.memory_bytes(os.getpid())
    block = bytearray(64 * 2**20)
    after, shared = proc.memory_bytes(os.getpid())
    assert 0.9 * len(block) < after - before < 2 * len(block)
    assert 0 < shared < after


def test_available_memory_is_below_that_of_the_machine():
    machine_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 0 < proc.available_bytes() < machine_bytes


def test_a_process_that_has_ended_is_none():
    ended = subprocess.Popen(["true"])
    ended.wait()
    assert proc.read(ended.pid) is None
    assert proc.memory_bytes(ended.pid) is None


def test_without_proc_nothing_is_known(tmp_path, monkeypatch):
    monkeypatch.setattr(proc, "_PROC", tmp_path / "missing")
    assert proc.read(os.getpid()) is None
    assert proc.descendants() == []
    assert proc.memory_bytes(os.getpid()) is None
    assert proc.available_bytes() is None
    assert proc.queued_s() == 0
