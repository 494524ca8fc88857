"""Measure the effect of the trainer's options; print tables of docs/benchmarks.md.

    python benchmarks/options.py --only cartpole breakout --rounds 5

The tasks, networks and settings of benchmarks/training.py, on `Serial`, with one option changed in
each row. All run in turns of equally many rollouts, each from where its last turn ended. One begins
after the other, and each round is recorded, so that an option that takes too long loses no others.
Columns: environment steps per second of collecting and learning, the median over the rounds of all;
its ratio to the first row's, per round; the mean return of the last hundred episodes; the seconds
of the very first turn, in which networks are compiled; on a GPU, the share of the time in which it
computes.
"""

import argparse
import math
import os
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import NamedTuple

import record
import torch
from tables import Row, Table
from training import Contender, ours, take_turn
from training_cells import CELLS, Cell, Turn
from turns import median_ratio
from utilization import sampled

OPTIONS: dict[str, dict[str, object]] = {
    "float32": {},
    "bfloat16": {"precision": "bfloat16"},
    "compile": {"compile": "default"},
    "compile, bfloat16": {"compile": "default", "precision": "bfloat16"},
}
OF_A_CPU: dict[str, dict[str, object]] = {"threads=2": {"threads": 2}}
OF_A_GPU: dict[str, dict[str, object]] = {
    "CUDA graphs": {"compile": "reduce-overhead"},
    "CUDA graphs, bfloat16": {"compile": "reduce-overhead", "precision": "bfloat16"},
}


class Measured(NamedTuple):
    """A turn, its duration, and the share of it in which the GPU computed."""

    turn: Turn
    seconds: float
    gpu_use: float | None


def compare(
    cell: Cell,
    options: Mapping[str, Mapping[str, object]],
    device: str,
    rounds: int,
    rollouts: int,
    limit_s: float,
) -> Iterator[dict[str, Row]]:
    """Yield the rows of a cell's table after each round, the first ones of the options so far.

    An option that takes too long to begin, or fails, then loses no other's rows.
    """
    end_s = time.monotonic() + limit_s
    contenders: dict[str, Contender] = {}
    first_s: dict[str, float] = {}
    results: dict[str, list[Measured]] = {}
    with ExitStack() as stack:
        samples = stack.enter_context(sampled())

        def measure(name: str) -> Measured:
            began_s = time.perf_counter()
            turn = take_turn(contenders[name].learn, [os.getpid()], rollouts)
            ended_s = time.perf_counter()
            return Measured(turn, ended_s - began_s, samples.mean(began_s, ended_s))

        def rows_of_a_round() -> dict[str, Row]:
            for name, own in results.items():
                own.append(measure(name))
            scores = {name: contender.score() for name, contender in contenders.items()}
            return {name: {} for name in options} | rows(results, first_s, scores)

        for name, settings in options.items():
            if results and time.monotonic() > end_s:
                break
            contenders[name] = ours(cell, {**settings, "device": device}, backend="Serial")
            stack.callback(contenders[name].close)
            first_s[name] = measure(name).seconds
            measure(name)  # the second turn may compile, too
            results[name] = []
            yield rows_of_a_round()
        for _ in range(rounds - 1):
            if time.monotonic() > end_s:
                break
            yield rows_of_a_round()


def rows(
    results: Mapping[str, Sequence[Measured]],
    first_s: Mapping[str, float],
    scores: Mapping[str, float],
) -> dict[str, Row]:
    """Return the rows of a table, of the rounds that all options have taken part in."""
    common = min(map(len, results.values()))
    rates = {name: [m.turn.steps_per_s for m in own[-common:]] for name, own in results.items()}
    base = next(iter(rates.values()))
    found: dict[str, Row] = {}
    for name, own in rates.items():
        uses = [m.gpu_use for m in results[name][-common:] if m.gpu_use is not None]
        found[name] = {
            "steps_per_s": statistics.median(own),
            "ratio": median_ratio(own, base),
            "score": scores[name],
            "first_s": first_s[name],
            **({"gpu_use": statistics.median(uses)} if uses else {}),
        }
    return found


def main() -> None:
    """Compare the options on the selected cells."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=CELLS, default=[*CELLS], metavar="NAME")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each option")
    parser.add_argument("--rollouts", type=int, default=2, help="rollouts per turn")
    parser.add_argument("--options", nargs="+", metavar="NAME", help="only these options")
    parser.add_argument(
        "--limit-s",
        type=float,
        default=math.inf,
        help="of a task: begin no further option or round later",
    )
    record.add_argument(parser)
    arguments = parser.parse_args()
    device = arguments.device
    options = OPTIONS | (OF_A_CPU if device == "cpu" else OF_A_GPU)
    if unknown := set(arguments.options or ()) - set(options):
        parser.error(f"no option {', '.join(sorted(unknown))}; there are {', '.join(options)}")
    chosen = {name: options[name] for name in arguments.options or options}
    sizes = (arguments.rounds, arguments.rollouts, arguments.limit_s)
    recorder = record.Recorder("options" if device == "cpu" else "gpu-options", arguments.record)
    for name in arguments.only:
        title = f"{CELLS[name].task}, {device}"
        for found in compare(CELLS[name], chosen, device, *sizes):
            table = Table(name, title, found)
            recorder.keep(table)
        recorder.add(table)


if __name__ == "__main__":
    main()
