"""A lock for what a process has one of, which does not outlive a fork."""

import os
import threading


def process_lock() -> threading.RLock:
    """Return a lock that no thread holds while the process is forked.

    Else a child could find it held by a thread that is not there to give it back, and what it
    guards half changed. A fork waits for the thread that holds it.
    """
    lock = threading.RLock()
    if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
        os.register_at_fork(
            before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release
        )
    return lock
