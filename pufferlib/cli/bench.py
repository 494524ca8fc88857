"""`puffer bench`."""

from rich.console import Console
from rich.table import Table

from pufferlib import registry
from pufferlib.benchmark import compare
from pufferlib.exceptions import ArgumentError
from pufferlib.vector import usable_cores


def bench(
    name: str,
    console: Console,
    num_envs: int,
    num_workers: int | None,
    rounds: int,
    seconds: float,
) -> dict[str, str]:
    """Print the throughput of one environment; return what to put in the table of all."""
    if rounds < 1 or seconds <= 0:
        raise ArgumentError(
            f"--rounds must be at least 1 and --seconds above 0; got {rounds} and {seconds:g}."
        )
    module, task = registry.resolve(name)
    rows = compare(module.env_creator(task), num_envs, num_workers, rounds, seconds)
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
    return {row.name.partition(",")[0]: f"{row.steps_per_second:,.0f}" for row in rows[:4]}
