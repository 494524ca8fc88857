"""A lock for process-wide state that is safe across forks."""

import os
import threading


def process_lock() -> threading.RLock:
    """Return a lock that is always free in a forked child.

    A fork waits for the thread that owns the lock. Otherwise a child could inherit a lock whose
    owner does not exist in it, and half-changed state behind the lock.
    """
    lock = threading.RLock()
    if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
        os.register_at_fork(
            before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release
        )
    return lock
