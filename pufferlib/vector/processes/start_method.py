"""How worker processes are started."""

import multiprocessing
import sys
from multiprocessing.context import BaseContext


def start_context(start_method: str | None) -> BaseContext:
    """Return the multiprocessing context of a start method; None is fork on Linux, else spawn."""
    if start_method is None:
        start_method = "fork" if sys.platform == "linux" else "spawn"
    return multiprocessing.get_context(start_method)


def is_fork(context: BaseContext) -> bool:
    """Return whether the processes of a context are forks of the caller."""
    return context.get_start_method() == "fork"
