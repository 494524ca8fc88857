"""Contenders take turns, round after round: what else happens on the machine hits all alike."""

import os
import statistics
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")


def take_turns(turns: Mapping[str, Callable[[], Result]], rounds: int) -> dict[str, list[Result]]:
    """Return what each contender's turns gave, one a round; a first round warms up, unrecorded."""
    results: dict[str, list[Result]] = {name: [] for name in turns}
    for round_ in range(rounds + 1):
        for name, turn in turns.items():
            result = turn()
            if round_:
                results[name].append(result)
    return results


def median_ratio(own: Sequence[float], base: Sequence[float]) -> float:
    """Return the median over the rounds of `own / base`, each taken within its round."""
    return statistics.median(a / b for a, b in zip(own, base, strict=True))


# Processes, as Linux tells of them.


def descendants() -> set[int]:
    """Return the ids of the processes that this one has started, and those have in turn."""
    parents = {}
    for path in Path("/proc").iterdir():
        if path.name.isdigit() and (fields := _stat(int(path.name))):
            parents[int(path.name)] = int(fields[1])
    found, new = set(), {os.getpid()}
    while new:
        new = {pid for pid, parent in parents.items() if parent in new}
        found |= new
    return found


def cpu_s(pids: Iterable[int]) -> float:
    """Return the CPU time that these processes have used, in seconds.

    To the nanosecond, from the clock that clock_getcpuclockid(3) names; /proc/<pid>/stat has the
    same in ticks of 10 ms.
    """
    return sum(time.clock_gettime((~pid << 3) | 2) for pid in pids)


def rest(pids: Iterable[int], limit_s: float = 2.0) -> None:
    """Wait until none of these processes runs; warn if that takes longer than `limit_s`."""
    pids, quiet, end_s = set(pids), 0, time.monotonic() + limit_s
    while quiet < 3:  # one that hands over to another may be caught between two naps
        time.sleep(0.001)
        busy = [pid for pid in pids if _stat(pid)[:1] == ["R"]]
        quiet = 0 if busy else quiet + 1
        if time.monotonic() > end_s:
            warnings.warn(f"processes {busy} do not rest between turns", stacklevel=2)
            return


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/<pid>/stat from the state on; none if the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []
