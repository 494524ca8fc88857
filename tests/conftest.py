"""The order of the tests, their time limits, and fixtures that several of them share."""

import contextlib
import functools
import gc
import os
import random
import signal
import sys
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import heavy
import numpy as np
import pytest
import threadpoolctl
from vector_processes import children, end_and_reap, living_after
from watchdog import Watchdog

from pufferlib.cores import usable_cores

# Torch's threads wait for each other by spinning, on cores that other workers of pytest need:
# the tests of opponents in self-play took four times the CPU time. Subprocesses inherit it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

WATCHDOG = pytest.StashKey[Watchdog]()
TEST_SEED = int(os.environ.get("PUFFERLIB_TEST_SEED", "0"))
GRACE_S = 30  # for a test to end by the exception that pytest-timeout raises


def pytest_configure(config: pytest.Config) -> None:
    """Make this process handle Ctrl+C: a shell starts background jobs with SIGINT ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(config, "workerinput"):  # a worker of pytest-xdist
        os.setpgid(0, 0)  # the watchdog ends what is left of it by its group
        if config.workerinput["heavy"]:
            config.args = [name for name in heavy.FILES if Path(name).exists()]
        elif config.workerinput["heavy"] is False:
            config.option.ignore = [*(config.option.ignore or ()), *heavy.FILES]
    runs_tests = config.getoption("dist", "no") == "no" and not config.getoption("usepdb")
    if runs_tests and sys.platform == "linux":
        config.stash[WATCHDOG] = Watchdog()


def pytest_report_header() -> str | None:
    """Print PUFFERLIB_TEST_SEED, so that what it made fail can be repeated."""
    return f"PUFFERLIB_TEST_SEED={TEST_SEED}" if TEST_SEED else None


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Divide the tests by files where pytest-xdist is asked to."""
    if config.getoption("dist") != "loadfile":
        return None
    from scheduling import FileScheduling

    return FileScheduling(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Use the cores there are, two workers at least and four at most, and one for heavy files."""
    return max(2, min(usable_cores(), 4)) + _is_whole(config)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config, specs: list[Any]) -> None:
    """Give the heavy files to the first of several workers, and the others to the rest."""
    if config.getoption("dist") == "loadfile" and _is_whole(config) and len(specs) > 1:
        for spec in specs:
            spec.heavy = spec is specs[0]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Say to a worker which files it has; one that replaces it has the same."""
    node.workerinput["heavy"] = node.gateway.spec.heavy


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Fail the run if a worker could not collect its files: the others would pass without it."""
    if error is None and node.workeroutput["exitstatus"] == pytest.ExitCode.USAGE_ERROR:
        raise RuntimeError(f"Worker {node.gateway.id} could not collect its files: run it alone.")


def _is_whole(config: pytest.Config) -> bool:
    """Return whether no files were named: neither as arguments nor by the directory."""
    return config.args_source is pytest.Config.ArgsSource.TESTPATHS


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    """Fail a file outside the heavy ones that imports what they are set apart for."""
    before = heavy.loaded()
    report = yield
    new = heavy.loaded() - before
    workerinput = getattr(collector.config, "workerinput", {})
    if workerinput.get("heavy") is False and new and isinstance(collector, pytest.Module):
        names = ", ".join(sorted(new))
        report.outcome = "failed"
        report.longrepr = f"The file imports {names}: do so in its tests, or add it to heavy.py."
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_timeout_set_timer(item: pytest.Item, settings: Any) -> None:
    """Have this process killed if a test ignores its timeout: see `watchdog`."""
    if WATCHDOG in item.config.stash:
        item.config.stash[WATCHDOG].limit(settings.timeout + GRACE_S, item.nodeid)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Lift the limit once a test and its fixtures have ended."""
    result = yield
    if WATCHDOG in item.config.stash:
        item.config.stash[WATCHDOG].limit(0, item.nodeid)
    return result


@pytest.hookimpl(trylast=True)  # after those that are not asked for have been left out
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run tests that fork much first, and those that start lasting threads last.

    Ray's threads come before those of the environments, with Java's. They never end, and a process
    forked afterwards may hang: a thread may own a lock at that moment, which no thread releases in
    the child. Forks also take longer, 20 ms for each GB of memory that the process has by then.

    Of those without threads, and of Ray's, files with many tests come first: one of them that a
    worker begins last leaves the other workers without work. The others keep their order: some
    packages draw only if they come before others.
    """
    counts = Counter(item.path for item in items)

    def key(item: pytest.Item) -> tuple[int, bool, int]:
        threads = _threads_it_leaves(item)
        return threads, "processes" not in item.path.parts, -counts[item.path] * (threads < 2)

    items.sort(key=key)


def pytest_collection_finish() -> None:
    """Keep the garbage collector of forked processes away from what is imported by now.

    A collection in a child would copy every page that holds such an object, of a GB in all.
    """
    gc.collect()
    gc.freeze()


def _threads_it_leaves(item: pytest.Item) -> int:
    if "ray" in item.path.parts:
        return 1
    in_registry = "registry" in item.path.parts
    return 2 * (in_registry or item.get_closest_marker("leaves_threads") is not None)


@pytest.fixture(scope="session", autouse=True)
def one_blas_thread() -> Iterator[None]:
    """Let NumPy multiply in one thread: OpenBLAS's wait by spinning, on cores that others need."""
    with threadpoolctl.threadpool_limits(1, user_api="blas"):
        yield


@pytest.fixture(scope="session", autouse=True)
def plain_terminal() -> Iterator[None]:
    """Unset what a shell may say of its terminal: tests expect 80 columns without colors."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(autouse=True)
def seeded(request: pytest.FixtureRequest) -> None:
    """Seed the global generators by the test's name, so that none depends on earlier ones.

    Fixtures of a module or of the session come before, and draw from what was seeded last.
    """
    seed = zlib.crc32(request.node.nodeid.encode(), TEST_SEED)  # itself a seed of 32 bits
    random.seed(seed)
    np.random.seed(seed)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)


@pytest.fixture(autouse=True)
def no_thread_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves a thread running, unless it is among the last."""
    before = _thread_names(), set(threading.enumerate())
    yield
    if _threads_it_leaves(request.node) == 0:
        left = set(threading.enumerate()) - before[1]
        left = [thread for thread in left if thread.name != "tqdm_monitor"]  # torch.compile's
        for thread in left:
            thread.join(60)
        assert not any(thread.is_alive() for thread in left), f"The test left {left} running."
        end_s = time.monotonic() + 60
        while (new := _thread_names() - before[0]) and time.monotonic() < end_s:
            time.sleep(0.01)  # the kernel still lists a thread that was joined a moment ago
        assert new == set(), "The test left threads running. Mark it leaves_threads."


def _thread_names() -> set[str]:
    """Return the names of this process's threads in the kernel (Linux)."""
    names = set()
    for path in Path("/proc/self/task").glob("*/comm"):
        with contextlib.suppress(OSError):
            names.add(path.read_text().strip())
    return names


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """Fail a test that leaves a process running, and kill the process."""
    before = _children()
    yield
    new = _children() - before
    left = living_after(new, deadline_s=60)
    end_and_reap(new)
    assert left == set(), "The test left processes running."


def _children() -> set[int]:
    """Return the ids of all descendants; quick if there are none."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return set()
    return children()


@pytest.fixture
def compile_whole() -> Iterator[Callable[..., Any]]:
    """Return `torch.compile` without graph breaks; reset the compiler before and after the test.

    Compilations count towards a limit per process, for all policies with the same `forward`.
    """
    import torch

    torch.compiler.reset()
    yield functools.partial(torch.compile, fullgraph=True)
    torch.compiler.reset()
