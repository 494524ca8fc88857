"""The order of the tests."""

import pytest


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
