"""`puffer bench`."""

from rich.console import Console
from rich.table import Table

from pufferlib import registry
from pufferlib.benchmark import compare
from pufferlib.cli.envs import installed_families
from pufferlib.vector import usable_cores


def bench(name: str, num_envs: int, num_workers: int | None, rounds: int, seconds: float) -> int:
    """Print the throughput of one environment, or of all that are installed."""
    console = Console(highlight=False)
    for each in installed_families() if name == "all" else [name]:
        module, task = registry.resolve(each)
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
    return 0
