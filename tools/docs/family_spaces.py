"""Tables of the spaces of each family's samples, for its page.

    python tools/docs/family_spaces.py [FAMILY ...]     # records them again, by default of all

The site is built without the environments, so the spaces are kept in family_spaces.csv.
tests/registry/test_registry.py compares the file with the environments.
"""

import csv
import functools
import itertools
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pufferlib import registry
from pufferlib.emulation.actions import ActionLayout
from pufferlib.emulation.description import HasSpaces, describe
from pufferlib.spaces import Leaf

RECORD = Path(__file__).with_suffix(".csv")
_WRITTEN_OUT = 8  # elements of a bound that differ; longer ones are not written out


class Row(NamedTuple):
    """A leaf of a task's observation or action space, as text."""

    family: str
    task: str
    agents: str
    part: str
    key: str
    space: str
    shape: str
    dtype: str
    bounds: str


def rows_of(family: str, task: str, env: HasSpaces) -> list[Row]:
    """Return the leaves of what a policy observes in `env`, and of its actions."""
    found = describe(env)
    actions = found.action_layout or ActionLayout.of(found.single_action_space)
    return [
        Row(family, task, str(found.num_agents), part, *_cells(field.leaf))
        for part, layout in (("observation", found.observation_layout), ("action", actions))
        for field in layout.fields
    ]


def _cells(leaf: Leaf) -> tuple[str, ...]:
    key = ".".join(map(str, leaf.path))
    shape = f"({', '.join(map(str, leaf.shape))}{',' if len(leaf.shape) == 1 else ''})"
    return key, leaf.kind, shape, str(leaf.dtype), f"{_bound(leaf.low)} to {_bound(leaf.high)}"


def _bound(values: np.ndarray[Any, Any]) -> str:
    """Return a bound in words: one number where all elements are equal."""
    is_float = values.dtype.kind == "f"
    texts = [f"{value:.5g}" if is_float else str(int(value)) for value in values.flat]
    if len(set(texts)) == 1:
        return texts[0]
    return f"[{', '.join(texts)}]" if len(texts) <= _WRITTEN_OUT else "[...]"


def section(family: str) -> str:
    """Return the tables of a family: of observations, and of actions."""
    rows = recorded()[family]
    agents = {f"`{row.task}`": row.agents for row in rows}
    if len(set(agents.values())) == 1:
        count = next(iter(agents.values()))
        counted = "one agent" if count == "1" else f"{count} agents"
        said = f"Of {', '.join(agents)}, with {counted}:"
    else:
        said = f"Of {', '.join(f'{task} ({count} agents)' for task, count in agents.items())}:"
    parts = [
        f"**{title}**\n\n{_table([row for row in rows if row.part == part])}"
        for title, part in (("Observations", "observation"), ("Actions", "action"))
    ]
    return "\n\n".join([said, *parts])


def _table(rows: Sequence[Row]) -> str:
    """Return a table of one part; tasks with equal spaces share rows."""
    tasks: dict[tuple[tuple[str, ...], ...], list[str]] = {}
    for task, group in itertools.groupby(rows, key=lambda row: row.task):
        tasks.setdefault(tuple(row[4:] for row in group), []).append(f"`{task}`")
    lines = [["task", "key", "space", "shape", "dtype", "bounds"]]
    for leaves, names in tasks.items():
        for number, (key, *rest) in enumerate(leaves):
            named = "" if number else ", ".join(names)
            lines.append([named, key and f"`{key}`", *rest])
    has_tasks, has_keys = len(tasks) > 1, any(line[1] for line in lines[1:])
    kept = [[*line[:1] * has_tasks, *line[1:2] * has_keys, *line[2:]] for line in lines]
    kept.insert(1, ["---"] * len(kept[0]))
    return "\n".join(f"| {' | '.join(line)} |" for line in kept)


@functools.cache
def recorded() -> dict[str, list[Row]]:
    """Return the recorded rows by family."""
    with RECORD.open(newline="") as file:
        rows = [Row(*line) for line in itertools.islice(csv.reader(file), 1, None)]
    return {
        name: list(group) for name, group in itertools.groupby(rows, key=lambda row: row.family)
    }


def main() -> None:
    """Record the spaces of the samples of the families that are named, or of all."""
    families = registry.builtin_families()
    found = dict(recorded()) if RECORD.exists() else {}
    for name in sys.argv[1:] or families:
        module = registry.load(name)
        found[name] = []
        for task in module.FAMILY.samples:
            with closing(module.make_env(task)) as env:
                found[name] += rows_of(name, task, env)
    rows = [row for name in families for row in found[name]]
    with RECORD.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([Row._fields, *rows])


if __name__ == "__main__":
    main()
