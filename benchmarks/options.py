"""Measure the effect of the trainer's options; print tables of docs/benchmarks.md.

    python benchmarks/options.py --only cartpole breakout --rounds 5

The tasks, networks and settings of benchmarks/training.py, on `Serial`, with one option changed in
each row. All exist at the same time and run in turns of equally many rollouts, each from where its
last turn ended. Columns: environment steps per second of collecting and learning, the median over
the rounds; its ratio to the first row's, per round; the mean return of the last hundred episodes;
the seconds of the very first turn, in which networks are compiled; on a GPU, the share of the time
in which it computes.
"""

import argparse
import functools
import math
import os
import statistics
import time
from contextlib import ExitStack
from typing import NamedTuple

import record
import torch
from tables import Table
from training import ours, take_turn
from training_cells import CELLS, Cell, Turn
from turns import median_ratio, take_turns
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
    options: dict[str, dict[str, object]],
    device: str,
    rounds: int,
    rollouts: int,
    limit_s: float,
) -> dict[str, dict[str, float]]:
    """Return the rows of a cell's table."""
    with ExitStack() as stack:
        contenders = {
            name: ours(cell, {**settings, "device": device}, backend="Serial")
            for name, settings in options.items()
        }
        for contender in contenders.values():
            stack.callback(contender.close)
        samples = stack.enter_context(sampled())

        def measure(name: str) -> Measured:
            began_s = time.perf_counter()
            turn = take_turn(contenders[name].learn, [os.getpid()], rollouts)
            ended_s = time.perf_counter()
            return Measured(turn, ended_s - began_s, samples.mean(began_s, ended_s))

        first = {name: measure(name).seconds for name in contenders}
        turns = {name: functools.partial(measure, name) for name in contenders}
        results = take_turns(turns, rounds, limit_s - sum(first.values()))
        scores = {name: contender.score() for name, contender in contenders.items()}
    rates = {name: [each.turn.steps_per_s for each in own] for name, own in results.items()}
    base = rates[next(iter(rates))]
    rows = {}
    for name, own in rates.items():
        uses = [each.gpu_use for each in results[name] if each.gpu_use is not None]
        rows[name] = {
            "steps_per_s": statistics.median(own),
            "ratio": median_ratio(own, base),
            "score": scores[name],
            "first_s": first[name],
            **({"gpu_use": statistics.median(uses)} if uses else {}),
        }
    return rows


def main() -> None:
    """Compare the options on the selected cells."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=CELLS, default=[*CELLS], metavar="NAME")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each option")
    parser.add_argument("--rollouts", type=int, default=2, help="rollouts per turn")
    parser.add_argument("--options", nargs="+", metavar="NAME", help="only these options")
    parser.add_argument(
        "--limit-s", type=float, default=math.inf, help="begin no further round after this time"
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
        recorder.add(Table(name, title, compare(CELLS[name], chosen, device, *sizes)))


if __name__ == "__main__":
    main()
