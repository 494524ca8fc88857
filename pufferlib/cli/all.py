"""`ENV=all`: the same command for every environment that is installed, and one table at the end."""

from collections.abc import Callable

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pufferlib.cli.envs import installed_samples

Cells = dict[str, str]  # of a row of the table, by heading


def for_each(
    name: str,
    command: Callable[[str, Console], Cells],
    report: Callable[[dict[str, Cells]], None] | None = None,
) -> int:
    """Run a command for one environment, or for all that are installed; return the exit status.

    Each family is represented by the first of its samples. A failure does not end the loop; the
    table at the end says what failed, and why.

    Args:
        name: an environment, or "all".
        command: takes an environment and where to print; returns a row of the table.
        report: takes the rows of all, by family.
    """
    console = Console(highlight=False)
    if name != "all":
        command(name, console)
        return 0
    results: dict[str, Cells] = {}
    for family, task in installed_samples().items():
        try:
            results[family] = {**command(task, console), "result": "[green]passed"}
        except Exception as error:  # whatever one environment raises, the others have their turn
            text = escape(f"{type(error).__name__}: {error}".splitlines()[0])
            results[family] = {"result": f"[red]failed: {text}"}
    headings = dict.fromkeys(heading for cells in results.values() for heading in cells)
    headings["result"] = headings.pop("result")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("environment", *headings):
        table.add_column(heading)
    for family, cells in results.items():
        table.add_row(family, *(cells.get(heading, "") for heading in headings))
    console.print(table)
    if report is not None:
        report(results)
    return int(any("failed" in cells["result"] for cells in results.values()))
