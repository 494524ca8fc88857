"""`puffer bench`."""

import concurrent.futures
import datetime
import math
import multiprocessing
import platform
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from pufferlib import registry
from pufferlib.benchmark import compare
from pufferlib.exceptions import ArgumentError
from pufferlib.vector import usable_cores

_OTHERS = ("gymnasium", "SB3")  # how the names of the alternatives begin
# Of the file that the table of all environments is written to: it goes in between.
_BEGIN, _END = "<!-- bench all: begin -->", "<!-- bench all: end -->"


def bench(
    name: str,
    console: Console,
    num_envs: int,
    num_workers: int | None,
    rounds: int,
    seconds: float,
) -> dict[str, str]:
    """Print the throughput of one environment; return what to put in the table of all."""
    module, task = registry.resolve(name)
    is_alone = module.FAMILY.is_one_per_process
    sizes = (num_envs, num_workers, rounds, seconds)
    rows = compare(module.env_creator(task), *sizes, is_one_per_process=is_alone)
    console.print(
        f"[bold]{task}[/bold], {num_envs} environments, {usable_cores()} cores, median of "
        f"{rounds} interleaved rounds of {seconds:g} s"
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


def bench_apart(name: str, _: Console, *sizes: Any) -> dict[str, str]:
    """Do as `bench` in a new process, which no environment measured before has left anything in."""
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, spawn) as pool:
        return pool.submit(_bench_here, name, sizes).result()


def _bench_here(name: str, sizes: tuple[Any, ...]) -> dict[str, str]:
    return bench(name, Console(highlight=False), *sizes)


def check_time(rounds: int, seconds: float) -> None:
    """Refuse a measurement of nothing, and one without an end.

    Raises:
        ArgumentError: says what is too small, or too large.
    """
    if rounds < 1 or not 0 < seconds < math.inf:
        raise ArgumentError(
            f"--rounds must be at least 1 and --seconds above 0; got {rounds} and {seconds:g}."
        )


def check_table(path: Path, name: str) -> None:
    """Refuse a file that has no place for the table of all environments.

    Raises:
        ArgumentError: says what it must have, or that `name` is one environment.
    """
    if name != "all":
        raise ArgumentError(f"--table is of all environments; got it for {name}. Leave it out.")
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
    assert place is not None  # `check_table` has looked
    before, after = place
    path.write_text("\n".join([before + _BEGIN, *lines, _END + after]))


def _place(path: Path) -> tuple[str, str] | None:
    """Return the text before and after the markers, or None if they are not there."""
    before, begin, rest = path.read_text().partition(_BEGIN)
    _, end, after = rest.partition(_END)
    return (before, after) if begin and end else None
