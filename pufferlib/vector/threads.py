"""Limit the numeric libraries of a worker to one thread each."""

import contextlib
import os
from collections.abc import Iterator

import threadpoolctl

from pufferlib.cores import limit_threads, requested_threads

# What the numeric libraries read when they are loaded.
_ONE_THREAD = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "NUMEXPR_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
    ),
    "1",
)


def limit_this_worker() -> None:
    """Let the numeric libraries of this process run one thread each, or OMP_NUM_THREADS if set.

    It applies to libraries that are loaded already and to those loaded later.
    """
    for name, value in _ONE_THREAD.items():
        os.environ.setdefault(name, value)
    threads = requested_threads() or 1
    limit_threads(threads)
    threadpoolctl.threadpool_limits(threads)


@contextlib.contextmanager
def limit_started_processes() -> Iterator[None]:
    """Let a process started in this context load its numeric libraries with one thread each.

    Variables that are set already are left as they are.
    """
    added = {name: value for name, value in _ONE_THREAD.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]
