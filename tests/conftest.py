"""The order of the tests, and what several of them use."""

import functools
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch


def pytest_configure() -> None:
    """Hear Ctrl+C, as do the processes of tests: what a shell starts with `&` is deaf to it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what brings threads of its own into this process last: environments, Java's, then Ray.

    They stay for as long as the process does, and what forks after them may hang: a thread may
    hold a lock at that moment, which nobody gives back in the child.
    """
    items.sort(key=_threads_it_brings)


def _threads_it_brings(item: pytest.Item) -> int:
    if item.path.name.startswith("test_ray"):
        return 2
    return int("registry" in item.path.parts)


@pytest.fixture
def compile_whole() -> Iterator[Callable[..., Any]]:
    """`torch.compile` without graph breaks, from a clean state to a clean state.

    What a process has compiled counts towards a limit, for all policies with the same `forward`.
    """
    torch.compiler.reset()
    yield functools.partial(torch.compile, fullgraph=True)
    torch.compiler.reset()
