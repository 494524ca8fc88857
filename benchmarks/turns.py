"""Run contenders in turns, so that other load on the machine affects all of them equally."""

import math
import os
import statistics
import time
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")


def take_turns(
    turns: Mapping[str, Callable[[], Result]],
    rounds: int,
    limit_s: float = math.inf,
    cold: Collection[str] = (),
) -> dict[str, list[Result]]:
    """Return the results of each contender's turns, one per round, after a warm-up round.

    Rounds that would begin after `limit_s` seconds are left out, except the first. The contenders
    named in `cold` have no turn in the warm-up round, since each of theirs has its own.
    """
    results: dict[str, list[Result]] = {name: [] for name in turns}
    end_s = time.monotonic() + limit_s
    for round_ in range(rounds + 1):
        if round_ > 1 and time.monotonic() > end_s:
            break
        for name, turn in turns.items():
            if round_:
                results[name].append(turn())
            elif name not in cold:
                turn()
    return results


def median_ratio(own: Sequence[float], base: Sequence[float]) -> float:
    """Return the median over the rounds of `own / base` within a round."""
    return statistics.median(a / b for a, b in zip(own, base, strict=True))


# Processes, from /proc (Linux).


def descendants() -> set[int]:
    """Return the ids of all descendants of this process."""
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

    The clock of clock_getcpuclockid(3) has nanosecond resolution; /proc/<pid>/stat counts ticks of
    10 ms.
    """
    return sum(time.clock_gettime((~pid << 3) | 2) for pid in pids)


def rest(pids: Iterable[int], limit_s: float = 20.0) -> None:
    """Wait until none of these processes runs; warn if that takes longer than `limit_s`."""
    pids, quiet, end_s = set(pids), 0, time.monotonic() + limit_s
    while quiet < 3:  # processes that alternate may both look idle once
        time.sleep(0.001)
        busy = [pid for pid in pids if _stat(pid)[:1] == ["R"]]
        quiet = 0 if busy else quiet + 1
        if time.monotonic() > end_s:
            warnings.warn(f"processes {busy} do not rest between turns", stacklevel=2)
            return


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/<pid>/stat from the state on; [] if the process has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []
