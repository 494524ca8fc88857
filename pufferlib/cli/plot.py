"""`puffer plot`."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from pufferlib.cli.parser import Parser
from pufferlib.runs.curves import plot


def add_arguments(parser: Parser, words: Sequence[str]) -> None:
    """Add the options of the command."""
    parser.add_argument("run", nargs="+", type=Path, help="folder of a run, or of several seeds")
    parser.add_argument(
        "--metric",
        default="episode/episode_return",
        help="any name in metrics.jsonl; docs/monitoring.md explains them (default %(default)s)",
    )
    parser.add_argument("--x", choices=("timesteps", "seconds"), default="timesteps")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("curve.png"),
        help="a .png, .svg or .pdf (default curve.png)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Draw the curves; return the exit status."""
    plot(arguments.run, arguments.metric, arguments.x, arguments.out)
    Console().print(f"Drawn {arguments.out}", highlight=False, soft_wrap=True)
    return 0
