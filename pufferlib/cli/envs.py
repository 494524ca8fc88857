"""`puffer envs`."""

import itertools

from rich.console import Console
from rich.table import Table

from pufferlib import registry

_SOURCE_WIDTH = 100  # columns at which docstrings are wrapped


def list_families() -> int:
    """Print every registered family, whether it is installed, and how to install it."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("family", "installed", "default task", "tasks"):
        table.add_column(heading, no_wrap=True)
    missing = missing_families()
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
    """Print what the module of a family, or of a task, says of it, and its tasks, one a line."""
    module, _ = registry.resolve(name)
    console = Console(highlight=False, markup=False)
    said = _unwrapped((module.__doc__ or "").strip())
    for is_table, group in itertools.groupby(said, key=lambda line: line.startswith("|")):
        lines = list(group)
        console.print(_table(lines) if is_table else "\n".join(lines))
    console.print()
    for task in module.FAMILY.tasks:
        console.print(task)
    return 0


def _table(lines: list[str]) -> Table:
    """Return a table written in Markdown, given its lines, for a terminal of any width."""
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
    """Return the lines of `text`, those joined that ended only as the next word had no room."""
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


def missing_families() -> list[str]:
    """Return the families that cannot be made here."""
    return [name for name in registry.families() if not registry.load(name).FAMILY.is_installed]


def installed_samples() -> dict[str, str]:
    """Return, for each family that can be made here, the task that stands for it."""
    found = {name: registry.load(name).FAMILY for name in registry.families()}
    return {name: family.samples[0] for name, family in found.items() if family.is_installed}
