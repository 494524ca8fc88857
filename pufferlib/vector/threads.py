"""Limit the numeric libraries of a worker to one thread each."""

import contextlib
import os
import sys
from collections.abc import Iterator

import threadpoolctl

from pufferlib.cores import limit_threads, requested_threads

# What the numeric libraries read when they are loaded.
_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


def limit_this_worker(is_forked: bool = False) -> None:
    """Let the numeric libraries of this process run one thread each, or OMP_NUM_THREADS if set.

    It applies to libraries that are loaded already and to those loaded later.

    A forked worker has the libraries of the caller, but not their threads. Most would wait for
    these forever (GNU OpenMP, and with it torch: pytorch issue 17199), so libraries that were
    loaded before the fork are set to one thread in any case. An environment must not raise it.

    Args:
        is_forked: this process is a fork of the caller.
    """
    os.environ.update(_unset_variables())
    threads = requested_threads() or 1
    limit_threads(threads)
    threads_of_loaded = 1 if is_forked else threads
    _limit_numba(threads)  # first: it may start OpenMP with a thread for each core
    _limit_pools(threads, threads_of_loaded)
    _limit_torch(threads_of_loaded)
    _limit_opencv(threads, threads_of_loaded)


def _limit_pools(threads: int, threads_of_loaded: int) -> None:
    """Limit BLAS and OpenMP. OpenBLAS starts its pthreads again in a fork."""
    pools = threadpoolctl.ThreadpoolController()
    pools.limit(limits=threads_of_loaded)
    pools.select(internal_api="openblas", threading_layer="pthreads").limit(limits=threads)


def _limit_torch(threads: int) -> None:
    """Limit torch if it is loaded; otherwise it reads OMP_NUM_THREADS.

    For each thread it keeps a number of threads for MKL, which goes before that of the process.
    """
    set_num_threads = getattr(sys.modules.get("torch"), "set_num_threads", None)
    if set_num_threads is not None:
        set_num_threads(threads)


def _limit_opencv(threads: int, threads_of_loaded: int) -> None:
    os.environ.setdefault("OPENCV_FOR_THREADS_NUM", str(threads))
    set_num_threads = getattr(sys.modules.get("cv2"), "setNumThreads", None)
    if set_num_threads is not None:  # 0: no threads; 1 would wait for those before to end
        set_num_threads(0 if threads_of_loaded == 1 else threads_of_loaded)


def _limit_numba(threads: int) -> None:
    numba = sys.modules.get("numba")
    if numba is None:
        os.environ.setdefault("NUMBA_NUM_THREADS", str(threads))
    else:  # it would refuse another value of the variable when it compiles
        numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))


@contextlib.contextmanager
def limit_started_processes() -> Iterator[None]:
    """Let a process started in this context load its numeric libraries with one thread each.

    Variables that are set already are left as they are.
    """
    added = _unset_variables()
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]


def _unset_variables() -> dict[str, str]:
    """Return the variables that are not set, with the value of OMP_NUM_THREADS, or 1."""
    threads = str(requested_threads() or 1)
    return {name: threads for name in _VARIABLES if name not in os.environ}
