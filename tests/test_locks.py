"""A process lock is free in a forked child, and the state behind it is consistent."""

import subprocess
import sys

SCRIPT = """
import os, threading
from pufferlib.locks import process_lock

lock, is_held, is_forked, is_whole = process_lock(), threading.Event(), threading.Event(), True
os.register_at_fork(after_in_parent=is_forked.set)

def change():
    global is_whole
    with lock:
        is_whole = False
        is_held.set()
        assert not is_forked.wait(0.3)  # by the main thread, which is about to fork
        is_whole = True

thread = threading.Thread(target=change)
thread.start()
is_held.wait()
child = os.fork()
if child == 0:
    os._exit(0 if lock.acquire(timeout=60) and is_whole else 1)
assert os.waitpid(child, 0)[1] == 0
with lock, lock:  # here too; and a thread may take it again
    pass
thread.join()
"""


def test_a_fork_waits_for_the_thread_that_holds_the_lock():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
