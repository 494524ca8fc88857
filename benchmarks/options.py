"""Measure the effect of the trainer's options; print tables of docs/benchmarks.md.

    python benchmarks/options.py --only cartpole breakout --rounds 5

The tasks, networks and settings of benchmarks/training.py, on `Serial`, with one option changed in
each row. All exist at the same time and run in turns of equally many rollouts, each from where its
last turn ended. Columns: environment steps per second of collecting and learning, the median over
the rounds; its ratio to the first row's, per round; the mean return of the last hundred episodes.
"""

import argparse
import functools
import os
import statistics
from contextlib import ExitStack

import torch
from training import CELLS, Cell, ours, take_turn
from turns import median_ratio, take_turns

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


def compare(
    cell: Cell, options: dict[str, dict[str, object]], device: str, rounds: int, rollouts: int
) -> None:
    """Print the table of a cell."""
    with ExitStack() as stack:
        contenders = {
            name: ours(cell, {**settings, "device": device}, backend="Serial")
            for name, settings in options.items()
        }
        for contender in contenders.values():
            stack.callback(contender.close)
        turns = {
            name: functools.partial(take_turn, contender.learn, [os.getpid()], rollouts)
            for name, contender in contenders.items()
        }
        results = take_turns(turns, rounds)
        scores = {name: contender.score() for name, contender in contenders.items()}
    rates = {name: [turn.steps_per_s for turn in own] for name, own in results.items()}
    first = rates[next(iter(rates))]
    print("| | steps/s | ratio | return |\n|---|---|---|---|")
    for name, own in rates.items():
        ratio = median_ratio(own, first)
        print(f"| {name} | {statistics.median(own):,.0f} | {ratio:.2f} | {scores[name]:.1f} |")


def main() -> None:
    """Compare the options on the selected cells."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=CELLS, default=[*CELLS], metavar="NAME")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each option")
    parser.add_argument("--rollouts", type=int, default=2, help="rollouts per turn")
    parser.add_argument("--options", nargs="+", metavar="NAME", help="only these options")
    arguments = parser.parse_args()
    options = OPTIONS | (OF_A_CPU if arguments.device == "cpu" else OF_A_GPU)
    if unknown := set(arguments.options or ()) - set(options):
        parser.error(f"no option {', '.join(sorted(unknown))}; there are {', '.join(options)}")
    chosen = {name: options[name] for name in arguments.options or options}
    sizes = (arguments.device, arguments.rounds, arguments.rollouts)
    for name in arguments.only:
        print(f"**{CELLS[name].task}, {arguments.device}**\n", flush=True)
        compare(CELLS[name], chosen, *sizes)
        print(flush=True)


if __name__ == "__main__":
    main()
