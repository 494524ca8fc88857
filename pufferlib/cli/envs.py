"""`puffer envs`."""

from rich.console import Console
from rich.table import Table

from pufferlib import registry

_SOURCE_WIDTH = 100  # columns at which docstrings are wrapped


def list_families() -> int:
    """Print every registered family, whether it is installed, and how to install it."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("family", "installed", "default task", "tasks", "install"):
        table.add_column(heading, no_wrap=heading != "install")
    for name in registry.families():
        family = registry.load(name).FAMILY
        table.add_row(
            name,
            "[green]yes" if family.is_installed else "[red]no",
            family.default,
            str(len(family.tasks)),
            "" if family.is_installed else f"make install ENV={name}",
        )
    console = Console()
    console.print(table)
    console.print("\nTasks of a family: puffer envs FAMILY", highlight=False)
    return 0


def list_tasks(name: str) -> int:
    """Print what the module of a family, or of a task, says of it, and its tasks, one a line."""
    module, _ = registry.resolve(name)
    console = Console(highlight=False, markup=False)
    console.print(_unwrapped((module.__doc__ or "").strip()) + "\n")
    for task in module.FAMILY.tasks:
        console.print(task)
    return 0


def _unwrapped(text: str) -> str:
    """Join the lines of `text` that were broken only because the next word had no room."""
    first, *others = text.splitlines()
    lines, before = [first], first
    for line in others:
        word = line.partition(" ")[0]
        if word and len(before) + 1 + len(word) > _SOURCE_WIDTH:
            lines[-1] += f" {line}"
        else:
            lines.append(line)
        before = line
    return "\n".join(lines)


def installed_samples() -> dict[str, str]:
    """Return, for each family that can be made here, the task that stands for it."""
    found = {name: registry.load(name).FAMILY for name in registry.families()}
    return {name: family.samples[0] for name, family in found.items() if family.is_installed}
