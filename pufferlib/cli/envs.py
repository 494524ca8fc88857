"""`puffer envs`."""

import argparse
import itertools
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from pufferlib import registry
from pufferlib.cli.parser import Parser
from pufferlib.exceptions import ArgumentError

_SOURCE_WIDTH = 100  # columns at which docstrings are wrapped


def add_arguments(parser: Parser, words: Sequence[str]) -> None:
    """Add the options of the command."""
    parser.add_argument("env", nargs="?", help="a family")
    parser.add_argument(
        "--gallery", type=Path, metavar="FOLDER", help="draw a picture of it, or of each family"
    )


def run(arguments: argparse.Namespace) -> int:
    """List families or tasks, or draw pictures; return the exit status."""
    if arguments.gallery is not None:
        from pufferlib.runs.gallery import draw_gallery

        console = Console(highlight=False, soft_wrap=True)
        for name, result in draw_gallery(arguments.gallery, arguments.env):
            console.print(f"{name}: {result}", markup=False)
        return 0
    return list_tasks(arguments.env) if arguments.env else list_families()


def list_families() -> int:
    """Print every registered family, whether it is installed, and how to install it."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("family", "installed", "default task", "tasks"):
        table.add_column(heading, no_wrap=True)
    missing = registry.missing_families()
    for name in registry.families():
        family = registry.load(name).FAMILY
        installed = "[red]no" if name in missing else "[green]yes"
        table.add_row(name, installed, family.default, str(len(family.tasks)))
    console = Console(highlight=False)
    console.print(table)
    console.print("\nTasks of a family: puffer envs FAMILY")
    if missing:
        console.print(f"Install one: puffer install {missing[0]}   (or: puffer install all)")
    return 0


def list_tasks(name: str) -> int:
    """Print the documentation of a family, or of the family of a task, and its tasks."""
    family = registry.resolve(name).family
    if family is None:
        raise ArgumentError(f"puffer envs takes a family or a task; got {name!r}.")
    module = registry.load(family.name)
    console = Console(highlight=False, markup=False)
    text = _unwrapped((module.__doc__ or name).strip())
    for is_table, group in itertools.groupby(text, key=lambda line: line.startswith("|")):
        lines = list(group)
        console.print(_table(lines) if is_table else "\n".join(lines))
    console.print()
    for task in family.tasks:
        console.print(task)
    return 0


def _table(lines: list[str]) -> Table:
    """Return the table of lines of Markdown."""
    headings, _, *rows = [
        [cell.strip().replace("`", "") for cell in line.strip("| ").split(" | ")] for line in lines
    ]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, no_wrap=heading == headings[0])
    for row in rows:
        table.add_row(*row)
    return table


def _unwrapped(text: str) -> list[str]:
    """Return the lines of `text`, joined where they were wrapped at the source's width."""
    first, *others = text.splitlines()
    lines, before = [first], first
    for line in others:
        word = line.partition(" ")[0]
        if word and len(before) + 1 + len(word) > _SOURCE_WIDTH:
            lines[-1] += f" {line}"
        else:
            lines.append(line)
        before = line
    return lines
