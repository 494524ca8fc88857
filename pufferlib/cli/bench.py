"""`puffer bench`."""

import argparse
import concurrent.futures
import datetime
import functools
import math
import multiprocessing
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from pufferlib.benchmark import compare
from pufferlib.cli.all import for_each
from pufferlib.cli.parser import ENV_OR_ALL_HELP, Parser, add_settings
from pufferlib.config import Config
from pufferlib.exceptions import ArgumentError
from pufferlib.runs import Run
from pufferlib.vector import usable_cores

_OTHERS = ("gymnasium", "SB3")  # how the names of the alternatives begin
# The markers, in a file, between which the table of all environments is written.
_BEGIN, _END = "<!-- bench all: begin -->", "<!-- bench all: end -->"


def add_arguments(parser: Parser, words: Sequence[str]) -> None:
    """Add the options of the command."""
    parser.add_argument("env", help=ENV_OR_ALL_HELP)
    parser.add_argument("--num-envs", type=int, default=8, help="environments (default 8)")
    parser.add_argument("--num-workers", type=int, help="processes (default: cores)")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds (default 5)")
    parser.add_argument(
        "--seconds", type=float, default=1.0, help="time of each contender in a round (default 1)"
    )
    parser.add_argument(
        "--table",
        type=Path,
        metavar="FILE",
        help="with ENV all: write the table into a Markdown file",
    )
    add_settings(parser, words, ["env.kwargs"], Config())


def run(arguments: argparse.Namespace) -> int:
    """Measure, and print a table if ENV is all; return the exit status."""
    num_envs, rounds, seconds = arguments.num_envs, arguments.rounds, arguments.seconds
    sizes = (num_envs, arguments.num_workers, rounds, seconds)
    check_time(rounds, seconds)
    report = None
    if arguments.table is not None:
        check_table(arguments.table, arguments.env)
        report = functools.partial(write_table, arguments.table, num_envs=num_envs, rounds=rounds)
    measure = _bench_in_new_process if arguments.env == "all" else bench

    def measure_one(env: str, console: Console) -> dict[str, str]:
        return measure(env, console, arguments.overrides, *sizes)

    return for_each(arguments.env, measure_one, report)


def bench(
    env: str,
    console: Console,
    overrides: dict[str, Any],
    num_envs: int,
    num_workers: int | None,
    rounds: int,
    seconds: float,
) -> dict[str, str]:
    """Print the throughput of one environment; return the cells of a row of a table."""
    run = Run.configure(env, overrides)
    kwargs = run.given_kwargs  # the presets' are for training
    rows = compare(
        functools.partial(run.source.creator(kwargs), **kwargs),
        *(num_envs, num_workers, rounds, seconds),
        is_one_per_process=run.source.is_one_per_process,
    )
    console.print(
        f"[bold]{run.source.name}[/bold], {num_envs} environments, {usable_cores()} cores, median "
        f"of {rounds} interleaved rounds of {seconds:g} s"
    )
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    table.add_column("steps/s", justify="right")
    table.add_column(f"to {rows[0].name}", justify="right")
    for row in rows:
        table.add_row(row.name, f"{row.steps_per_second:,.0f}", f"{row.ratio:.2f}")
    console.print(table)
    ours = [row for row in rows if not row.name.startswith(_OTHERS)]
    return {
        row.name.partition(",")[0]: f"{row.steps_per_second:,.0f} ({row.ratio:.2f})" for row in ours
    }


def _bench_in_new_process(env: str, _: Console, *arguments: Any) -> dict[str, str]:
    """Run `bench` in a new process, which earlier environments have not changed."""
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, spawn) as pool:
        return pool.submit(_bench_here, env, arguments).result()


def _bench_here(env: str, arguments: tuple[Any, ...]) -> dict[str, str]:
    return bench(env, Console(highlight=False), *arguments)


def check_time(rounds: int, seconds: float) -> None:
    """Refuse rounds and seconds that measure nothing, or never end.

    Raises:
        ArgumentError: says what is allowed.
    """
    if rounds < 1 or not 0 < seconds < math.inf:
        raise ArgumentError(
            f"--rounds must be at least 1 and --seconds above 0; got {rounds} and {seconds:g}."
        )


def check_table(path: Path, name: str) -> None:
    """Refuse a file without the markers between which the table of all environments goes.

    Raises:
        ArgumentError: the file lacks the markers, or `name` is one environment.
    """
    if name != "all":
        raise ArgumentError(
            f"--table applies to all environments, but ENV is {name!r}. Drop --table, or use ENV "
            f"all."
        )
    if not path.is_file() or _place(path) is None:
        raise ArgumentError(
            f"--table takes a text file with the lines {_BEGIN} and {_END}, and replaces what is "
            f"between them; got {path}."
        )


def write_table(path: Path, results: dict[str, dict[str, str]], num_envs: int, rounds: int) -> None:
    """Write the rows of all environments into a Markdown file, between its two markers.

    Args:
        path: of the file.
        results: cells by heading, by family.
        num_envs: environments of each.
        rounds: of each measurement.
    """
    headings = dict.fromkeys(heading for cells in results.values() for heading in cells)
    headings.pop("result", None)
    lines = [
        f"`make bench-env ENV=all`: steps/s of agents, {num_envs} environments of each family's "
        f"first sample on {usable_cores()} cores, medians of {rounds} rounds, and in parentheses "
        f"of their ratios to bare, else to one environment; Python {platform.python_version()}, "
        f"{datetime.date.today():%Y-%m-%d}.",
        "",
        f"| environment | {' | '.join(headings)} |",
        f"|---|{'---|' * len(headings)}",
    ]
    for family, cells in results.items():
        lines.append(f"| {family} | {' | '.join(cells.get(name, '') for name in headings)} |")
    place = _place(path)
    assert place is not None  # see `check_table`
    before, after = place
    path.write_text("\n".join([before + _BEGIN, *lines, _END + after]))


def _place(path: Path) -> tuple[str, str] | None:
    """Return the text before and after the markers, or None if they are not there."""
    before, begin, rest = path.read_text().partition(_BEGIN)
    _, end, after = rest.partition(_END)
    return (before, after) if begin and end else None
