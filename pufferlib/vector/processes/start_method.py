"""How worker processes are started: by a fork, unless something here would not survive it."""

import multiprocessing
import sys
import warnings
from collections.abc import Callable
from multiprocessing.context import BaseContext
from pathlib import Path

_DEFAULT = "fork" if sys.platform == "linux" else "spawn"


def start_context(start_method: str | None) -> BaseContext:
    """Return the multiprocessing context of a start method.

    None is fork on Linux, else spawn; it is forkserver, with a warning, if this process has
    something that is known to hang or to fail in a forked one. That may change, so ask again for a
    process that is started later.
    """
    if start_method is None:
        start_method = _DEFAULT
        obstacle = obstacle_to_fork() if start_method == "fork" else None
        if obstacle is not None:
            start_method = "forkserver"
            warnings.warn(
                f"Workers are started with start_method='forkserver', since {obstacle} in this "
                f"process. Forked workers would hang or fail. Make the vectorizer first, or choose "
                f"a start_method. A script needs `if __name__ == '__main__':`.",
                RuntimeWarning,
                stacklevel=5,  # the caller of `make`, if called when the workers are first started
            )
    return multiprocessing.get_context(start_method)


def is_fork(context: BaseContext) -> bool:
    """Return whether the processes of a context are forks of the caller."""
    return context.get_start_method() == "fork"


def obstacle_to_fork() -> str | None:
    """Return what runs in this process and does not survive a fork; None if nothing is known."""
    return next((what for what, runs in _OBSTACLES.items() if runs()), None)


def _java_runs() -> bool:
    try:
        return "libjvm.so" in Path("/proc/self/maps").read_text(errors="replace")
    except OSError:
        return False


def _cuda_runs() -> bool:
    """Return whether torch has opened a CUDA context."""
    cuda = getattr(sys.modules.get("torch"), "cuda", None)
    return cuda is not None and cuda.is_initialized()


def _ray_runs() -> bool:
    is_initialized = getattr(sys.modules.get("ray"), "is_initialized", None)
    return is_initialized is not None and is_initialized()


def _numba_runs_openmp() -> bool:
    """Return whether numba has started threads of OpenMP; in a fork it aborts the process."""
    threading_layer = getattr(sys.modules.get("numba"), "threading_layer", None)
    try:
        return threading_layer is not None and threading_layer() == "omp"
    except ValueError:  # it has not chosen a layer yet
        return False


_OBSTACLES: dict[str, Callable[[], bool]] = {
    "Java runs": _java_runs,
    "CUDA of torch runs": _cuda_runs,
    "Ray runs": _ray_runs,
    "OpenMP of numba runs": _numba_runs_openmp,
}
