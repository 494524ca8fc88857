"""Compare the throughput of vectorizers on two cores; print the tables of docs/benchmarks.md.

    make bench      (or: python benchmarks/vector.py --only cartpole-8 nethack-8 --rounds 5)

The contenders of a table exist at the same time; all but one are idle. Columns, medians over the
rounds: environment steps per second; the ratio to the bound, which is two processes that each step
one bare environment in a loop without communication; the ratio to the best alternative; CPU seconds
per second of the caller and all workers (below 2 for the bound means that other programs used the
machine); CPU time per environment step, as a ratio to the bound's. Ratios are taken per round. "-"
marks contenders that were left out: Gymnasium's and Stable-Baselines3's processes, one per
environment, above 8 environments unless --all is given; packages that are not installed; packages
that do not support the action space.

A table takes at most about --table-s seconds: turns are shortened to fit, and rounds that would
begin later are left out.
"""

import argparse
import math
import os
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import NamedTuple

import record
from cells import CELLS, Cell
from contenders import FEW, ONE_PROCESS_EACH, LeftOutError, Run, alternatives, contenders
from tables import Table
from turns import cpu_s, descendants, median_ratio, rest, take_turns


class Turn(NamedTuple):
    """The measurements of a turn."""

    steps_per_s: float
    cpus: float
    cpu_s_a_step: float


def take_turn(run: Run, pids: list[int], seconds: float) -> Turn:
    """Measure one contender while all others rest."""
    rest(descendants())
    began_s, began_cpu_s = time.perf_counter(), cpu_s(pids)
    rate = run(seconds)
    used_s, elapsed_s = cpu_s(pids) - began_cpu_s, time.perf_counter() - began_s
    return Turn(rate, used_s / elapsed_s, used_s / (rate * elapsed_s))


def compare(
    cell: Cell, rounds: int, seconds: float, table_s: float, at_any_number: bool
) -> dict[str, list[Turn]]:
    """Return the turns of a cell's contenders; an empty list for contenders left out.

    Args:
        cell: the environments.
        rounds: turns of each.
        seconds: of a turn, at most.
        table_s: of all together.
        at_any_number: with a process for each environment, however many there are.
    """
    began_s, made = time.monotonic(), {}
    with ExitStack() as stack:
        for name, make in contenders(cell).items():
            if name in ONE_PROCESS_EACH and cell.num_envs > FEW and not at_any_number:
                continue
            before = descendants()
            try:
                run, close = make(cell)
            except LeftOutError:
                continue
            stack.callback(close)
            made[name] = run, [os.getpid(), *(descendants() - before)]
        left_s = table_s - (time.monotonic() - began_s)
        seconds = min(seconds, max(left_s, 1) / ((rounds + 1) * len(made)))
        turns: dict[str, Callable[[], Turn]] = {
            name: partial(take_turn, *both, seconds) for name, both in made.items()
        }
        results = take_turns(turns, rounds, left_s)
    return {name: results.get(name, []) for name in contenders(cell)}


def table(cell: Cell, results: dict[str, list[Turn]]) -> Table:
    """Return the medians of a cell's contenders."""
    rates = {name: [turn.steps_per_s for turn in turns] for name, turns in results.items()}
    costs = {name: [turn.cpu_s_a_step for turn in turns] for name, turns in results.items()}
    medians = {name: statistics.median(rates[name]) for name in rates if rates[name]}
    best = max(medians.keys() & alternatives(cell), key=medians.__getitem__)
    rows = {
        name: {
            "steps_per_s": medians[name],
            "of_bound": median_ratio(rates[name], rates["bound"]),
            "of_best": median_ratio(rates[name], rates[best]),
            "cpus": statistics.median(turn.cpus for turn in turns),
            "cpu_a_step": median_ratio(costs[name], costs["bound"]),
        }
        if turns
        else {}
        for name, turns in results.items()
    }
    return Table(cell.name, f"{cell.title}, {cell.num_envs} environments", rows)


def main() -> None:
    """Run the selected cells and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=CELLS, metavar="NAME", help="these cells")
    parser.add_argument("--list", action="store_true", help="print the names of the cells")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each contender")
    parser.add_argument("--seconds", type=float, default=0.5, help="the most of a turn")
    parser.add_argument("--table-s", type=float, default=math.inf, help="the most of a table")
    parser.add_argument(
        "--all", action="store_true", help="more cells, and a process per environment at any number"
    )
    record.add_argument(parser)
    arguments = parser.parse_args()
    names = arguments.only or [n for n, cell in CELLS.items() if arguments.all or not cell.is_extra]
    if arguments.list:
        print("\n".join(CELLS))
        return
    recorder = record.Recorder("vector", arguments.record)
    for cell in (CELLS[name] for name in names):
        try:
            cell.creator().close()
        except ImportError as error:
            print(f"**{cell.title}, {cell.num_envs} environments**\n\nLeft out: {error}\n")
            continue
        sizes = (arguments.rounds, arguments.seconds, arguments.table_s)
        recorder.add(table(cell, compare(cell, *sizes, arguments.all)))


if __name__ == "__main__":
    main()
