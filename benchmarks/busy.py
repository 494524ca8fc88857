"""Measure how far throughput falls while other programs keep every core busy.

    python benchmarks/busy.py [--only picture-200us] [--workers 2 8]

The load is two spinning processes for each usable core, which are stopped while a contender takes
an idle turn. All contenders have 8 environments; those of Gymnasium's Async are a process each.
Columns, medians over the rounds: environment steps per second, idle and busy; by what share they
fall; CPU lost, the share by which the steps of as many processes fall that step bare environments
without communication; the ratio of the two; CPU seconds per second of the caller and all workers,
idle and busy. A ratio of 1 means that nothing is lost but CPU time; above it, a process that could
run waits for one that has no core.
"""

import argparse
import multiprocessing
import os
import signal
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, NamedTuple

import record
from cells import Cell, Picture
from contenders import Run, bound, of_gymnasium, our_pool, ours
from gymnasium.envs.classic_control import CartPoleEnv
from gymnasium.vector import AsyncVectorEnv
from tables import Table
from turns import cpu_s, descendants, median_ratio, rest, take_turns

from pufferlib.vector import usable_cores

ENVS, A_CORE = 8, 2
CELLS = {
    "cartpole": Cell("cartpole", "CartPole", CartPoleEnv, ENVS),
    "picture-200us": Cell("picture-200us", "84x84x4 at 200 us", partial(Picture, 200), ENVS),
}
WORKERS = (2, 4, 8)
GYMNASIUM = "Gymnasium Async"


class Rate(NamedTuple):
    """Environment steps per second, and CPU seconds per second of caller and workers."""

    steps_per_s: float
    cpus: float


class Turn(NamedTuple):
    """An idle turn and a busy one."""

    idle: Rate
    busy: Rate

    @property
    def fall(self) -> float:
        return 1 - self.busy.steps_per_s / self.idle.steps_per_s


class Load:
    """Processes that spin when they are not stopped."""

    def __init__(self, count: int) -> None:
        context = multiprocessing.get_context("fork")
        self._processes = [context.Process(target=_spin, daemon=True) for _ in range(count)]
        for process in self._processes:
            process.start()
        self._signal(signal.SIGSTOP)

    @contextmanager
    def spinning(self) -> Iterator[None]:
        self._signal(signal.SIGCONT)
        try:
            yield
        finally:
            self._signal(signal.SIGSTOP)

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.join()

    def _signal(self, number: int) -> None:
        for process in self._processes:
            os.kill(process.pid or 0, number)


def _spin() -> None:
    while True:
        pass


def contenders(workers: Sequence[int]) -> dict[str, tuple[int, Callable[[Cell], Any]]]:
    """Return how to make each contender, and how many workers it has."""
    found: dict[str, tuple[int, Callable[[Cell], Any]]] = {}
    for n in workers:
        kwargs = {"backend": "Multiprocessing", "num_workers": n}
        found[f"{n} workers"] = n, partial(ours, **kwargs)
        found[f"{n} workers, pool of half"] = n, partial(our_pool, num_workers=n)
    make = partial(of_gymnasium, kind=AsyncVectorEnv, shared_memory=True)
    return {**found, GYMNASIUM: (ENVS, make)}


def take_turn(run: Run, pids: list[int], load: Load, seconds: float) -> Turn:
    """Measure one contender while all others rest, without and with the load."""
    rest(descendants())
    idle = measured(run, pids, seconds)
    with load.spinning():
        run(seconds / 4)
        busy = measured(run, pids, seconds)
    return Turn(idle, busy)


def measured(run: Run, pids: list[int], seconds: float) -> Rate:
    began_s, began_cpu_s = time.perf_counter(), cpu_s(pids)
    rate = run(seconds)
    return Rate(rate, (cpu_s(pids) - began_cpu_s) / (time.perf_counter() - began_s))


def compare(cell: Cell, workers: Sequence[int], rounds: int, seconds: float) -> Table:
    """Return the medians of the contenders of a cell."""
    made = contenders(workers)
    bounds = {n: f"bound of {n}" for n, _ in made.values()}
    makers = {name: make for name, (_, make) in made.items()}
    makers |= {name: partial(bound, num_workers=n) for n, name in bounds.items()}
    turns: dict[str, Callable[[], Turn]] = {}
    with ExitStack() as stack:
        load = Load(A_CORE * usable_cores())
        stack.callback(load.close)
        for name, make in makers.items():
            before = descendants()
            run, close = make(cell)
            stack.callback(close)
            pids = [os.getpid(), *(descendants() - before)]
            turns[name] = partial(take_turn, run, pids, load, seconds)
        results = take_turns(turns, rounds)
    rows = {name: row(results[name], results[bounds[n]]) for name, (n, _) in made.items()}
    title = f"{cell.title}, {ENVS} environments, {A_CORE * usable_cores()} foreign processes"
    return Table(cell.name, title, rows)


def row(own: list[Turn], reference: list[Turn]) -> dict[str, float]:
    """Return the medians of a contender, whose CPU lost is the fall of its bound."""
    falls, lost = [turn.fall for turn in own], [turn.fall for turn in reference]
    return {
        "steps_per_s": statistics.median(turn.idle.steps_per_s for turn in own),
        "busy_steps_per_s": statistics.median(turn.busy.steps_per_s for turn in own),
        "fall": statistics.median(falls),
        "cpu_lost": statistics.median(lost),
        "fall_to_lost": median_ratio(falls, lost),
        "cpus": statistics.median(turn.idle.cpus for turn in own),
        "busy_cpus": statistics.median(turn.busy.cpus for turn in own),
    }


def main() -> None:
    """Compare the contenders on the selected cells."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=CELLS, default=[*CELLS], metavar="NAME")
    parser.add_argument("--workers", nargs="+", type=int, default=WORKERS, metavar="N")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each contender")
    parser.add_argument("--seconds", type=float, default=0.5, help="duration of a turn")
    record.add_argument(parser)
    arguments = parser.parse_args()
    recorder = record.Recorder("busy", arguments.record)
    for name in arguments.only:
        sizes = (arguments.workers, arguments.rounds, arguments.seconds)
        recorder.add(compare(CELLS[name], *sizes))


if __name__ == "__main__":
    main()
