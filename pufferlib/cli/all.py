"""`ENV=all`: one command for every installed family, and one table of all families."""

from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pufferlib import registry
from pufferlib.exceptions import ArgumentError

Cells = dict[str, str]  # of a row of the table, by heading


def check_one_run(env: str, options: Mapping[str, Any]) -> None:
    """Refuse options that apply to one run if ENV is "all".

    Raises:
        ArgumentError: names the option.
    """
    given = [flag for flag, value in options.items() if value is not None]
    if env == "all" and given:
        raise ArgumentError(
            f"{given[0]} applies to one run, but ENV is 'all'. Name one environment, or drop "
            f"{given[0]}."
        )


def for_each(
    name: str,
    command: Callable[[str, Console], Cells],
    report: Callable[[dict[str, Cells]], None] | None = None,
    *,
    needs_all: bool = False,
) -> int:
    """Run a command for one environment, or for all that are installed; return the exit status.

    Each family is represented by its first sample. A failure does not end the loop; lines after the
    table list the failures with their reasons, and the families that are not installed.

    Args:
        name: an environment, or "all".
        command: takes an environment and where to print; returns a row of the table.
        report: called with the rows of the families that did not fail, by family.
        needs_all: a family that is not installed counts as failed.
    """
    console = Console(highlight=False)
    if name != "all":
        command(name, console)
        return 0
    results: dict[str, Cells] = {}
    reasons: dict[str, str] = {}
    for family, task in registry.installed_samples().items():
        try:
            results[family] = {**command(task, console), "result": "[green]passed"}
        except Exception as error:  # whatever one environment raises, the others run
            results[family] = {"result": "[red]failed"}
            reasons[family] = f"{type(error).__name__}: {error}".splitlines()[0]
    missing = registry.missing_families()
    absent = {family: {"result": "[yellow]not installed"} for family in missing}
    _print_table(console, results | absent)
    for family, reason in reasons.items():
        console.print(f"[red]{family}[/red] failed: {escape(reason)}", soft_wrap=True)
    if missing:
        console.print(
            f"[yellow]{len(missing)} of {len(missing) + len(results)} families are not installed"
            f"[/yellow]. Install them: puffer install {' '.join(missing)}",
            soft_wrap=True,
        )
    if report is not None:
        report({family: cells for family, cells in results.items() if family not in reasons})
    return int(bool(reasons) or (needs_all and bool(missing)))


def _print_table(console: Console, results: dict[str, Cells]) -> None:
    headings = dict.fromkeys(heading for cells in results.values() for heading in cells)
    headings["result"] = headings.pop("result")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("environment", *headings):
        table.add_column(heading)
    for family, cells in results.items():
        table.add_row(family, *(cells.get(heading, "") for heading in headings))
    console.print(table)
