"""The tables of docs/learning.md: their columns, and how they are printed."""

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

Row = Mapping[str, Any]  # the numbers of a row, and the name of the "run" that measured them
# By which values a row of a section is found.
KEYS = {
    "defaults": ("task", "library"),
    "ocean": ("task", "variant"),
    "tasks": ("task",),
    "standards": ("task", "actions"),
    "families": ("task",),
    "networks": ("task", "network", "seed"),
}
LIBRARIES = {"pufferlib": "**pufferlib**", "cleanrl": "CleanRL", "sb3": "SB3"}


class Column(NamedTuple):
    """A column: its heading, and the text of its cell in a row."""

    heading: str
    cell: Callable[[Row], str]


def tables(section: str, rows: Sequence[Row]) -> Iterator[str]:
    """Yield the table of a section; in "networks", one for each task, below its name."""
    if section != "networks":
        yield markdown(columns(section, rows), rows)
        return
    for task in dict.fromkeys(row["task"] for row in rows):
        of_task = [row for row in rows if row["task"] == task]
        yield f"**{task}, {of_task[0]['steps']:,} steps**"
        yield markdown(COLUMNS[section], of_task)


def columns(section: str, rows: Sequence[Row]) -> Iterator[Column]:
    """Yield the columns of a section, with one for each of the seeds of its rows."""
    for column in COLUMNS[section]:
        if column is not OF_SEEDS:
            yield column
            continue
        for seed in sorted({seed for row in rows for seed in row["seeds"]}, key=int):
            yield Column(f"seed {seed}", functools.partial(_of_seed, seed=seed))


def markdown(columns: Iterable[Column], rows: Sequence[Row]) -> str:
    """Return a table in the form of Markdown."""
    columns = [*columns]
    lines = [f"| {' | '.join(column.heading for column in columns)} |"]
    lines += [f"|{'---|' * len(columns)}"]
    lines += [f"| {' | '.join(column.cell(row) for column in columns)} |" for row in rows]
    return "\n".join(lines)


def scored(values: Sequence[float], digits: int = 2) -> str:
    """Return a mean and its 95% interval as text."""
    mean, low, high = (f"{value:.{digits}f}" for value in values)
    return f"{mean} [{low}, {high}]"


def label(section: str, row: Row) -> str:
    """Return which row it is: its task, and the other values by which it is found."""
    values = {key: row[key] for key in KEYS[section][1:] if key in row}
    others = [f"seed {value}" if key == "seed" else value for key, value in values.items()]
    return f"{_task(row)} ({', '.join(others)})" if others else _task(row)


def _task(row: Row) -> str:
    return f"`{' '.join([row['task'], *row.get('flags', '').split()])}`"


def _steps(row: Row) -> str:
    return f"{row['steps']:,}"


def _seconds(row: Row) -> str:
    """Return the CPU seconds of a task, or their range over its seeds."""
    low, high = (f"{seconds:.0f}" for seconds in row["seconds"])
    return low if low == high else f"{low} to {high}"


def _published(row: Row) -> str:
    """Return a published score, by whom, after how many steps; empty if there is none."""
    value = row["published"]
    if value is None:
        return ""
    return f"{value:.{_digits(value)}f} ({row['by']}, {row['published_steps']:,})"


def _digits(value: float) -> int:
    """Return how many digits after the point say enough."""
    return 0 if abs(value) >= 10 else 2


def _of_seed(row: Row, seed: str) -> str:
    values = row["seeds"].get(seed)
    if values is None:
        return ""
    return scored(values, _digits(values[0])) if isinstance(values, list) else f"{values:.2f}"


OF_SEEDS = Column("seeds", lambda row: ", ".join(row["seeds"]))  # stands for one of each seed
COLUMNS: dict[str, tuple[Column, ...]] = {
    "defaults": (
        Column("task", _task),
        Column("steps", _steps),
        Column("library", lambda row: LIBRARIES[row["library"]]),
        Column("seeds", lambda row: f"{row['seeds']}"),
        Column("last 100", lambda row: f"{row['last_100']:.2f}"),
        Column("sampled", lambda row: scored(row["sampled"])),
        Column("greedy", lambda row: scored(row["greedy"])),
        Column("CPU s", lambda row: f"{row['cpu_s']:.0f}"),
    ),
    "ocean": (
        Column("task", lambda row: label("ocean", row)),
        Column("question", lambda row: row["question"]),
        Column("random", lambda row: f"{row['random']:.2f}"),
        Column("optimal", lambda row: f"{row['optimal']:g}"),
        OF_SEEDS,
        Column("seconds", _seconds),
    ),
    "tasks": (
        Column("task", _task),
        Column("random", lambda row: f"{row['random']:.{_digits(row['random'])}f}"),
        Column("threshold", lambda row: f"{row['threshold']:g}"),
        OF_SEEDS,
        Column("steps", _steps),
        Column("seconds", _seconds),
    ),
    "standards": (
        Column("task", _task),
        Column("actions", lambda row: row["actions"]),
        Column("published (by, steps)", _published),
        Column("random", lambda row: f"{row['random']:.{_digits(row['random'])}f}"),
        OF_SEEDS,
        Column("steps", _steps),
        Column("CPU s", _seconds),
    ),
    "families": (
        Column("task", _task),
        Column("random", lambda row: scored(row["random"])),
        Column("trained", lambda row: scored(row["trained"])),
        Column("steps", _steps),
        Column("minutes", lambda row: f"{row['minutes']:.1f}"),
    ),
    "networks": (
        Column("network", lambda row: row["network"]),
        Column("seed", lambda row: f"{row.get('seed', '')}"),
        Column("return", lambda row: scored(row["return"])),
        Column("parameters", lambda row: f"{row['parameters']:,}" if "seed" in row else ""),
        Column("CPU s", lambda row: f"{row['cpu_s']:.0f}" if "seed" in row else ""),
    ),
}
