"""The tables of the benchmarks: their columns, and how they are printed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

Row = Mapping[str, float]  # by the key of the column; empty: the contender was left out


class Column(NamedTuple):
    """A column: its heading, the key of its values, and their format specification."""

    heading: str
    key: str
    form: str


@dataclass(frozen=True)
class Table:
    """What was measured of one subject.

    Attributes:
        name: by which its targets find it.
        title: its heading.
        rows: by contender.
    """

    name: str
    title: str
    rows: Mapping[str, Row]


COLUMNS: dict[str, tuple[Column, ...]] = {
    "emulation": (
        Column("us", "us", ".3g"),
        Column("adds us", "adds_us", ".2f"),
        Column("ratio", "ratio", ".3f"),
    ),
    "vector": (
        Column("steps/s", "steps_per_s", ",.0f"),
        Column("of the bound", "of_bound", ".2f"),
        Column("of the best alternative", "of_best", ".2f"),
        Column("CPU s/s", "cpus", ".2f"),
        Column("CPU a step", "cpu_a_step", ".2f"),
    ),
    "busy": (
        Column("steps/s", "steps_per_s", ",.0f"),
        Column("steps/s, busy", "busy_steps_per_s", ",.0f"),
        Column("fall", "fall", ".2f"),
        Column("CPU lost", "cpu_lost", ".2f"),
        Column("fall to CPU lost", "fall_to_lost", ".2f"),
        Column("CPU s/s", "cpus", ".2f"),
        Column("CPU s/s, busy", "busy_cpus", ".2f"),
    ),
    "native": (
        Column("steps/s", "steps_per_s", ",.0f"),
        Column("ratio", "ratio", ".2f"),
        Column("CPU time, ratio", "cpu_ratio", ".2f"),
        Column("CPU us a step", "cpu_us", ".1f"),
    ),
    "training": (
        Column("steps/s", "steps_per_s", ",.0f"),
        Column("of SB3's best", "of_sb3", ".2f"),
        Column("CPU us a step", "cpu_us", ".0f"),
        Column("return", "score", ".1f"),
    ),
    "options": (
        Column("steps/s", "steps_per_s", ",.0f"),
        Column("ratio", "ratio", ".2f"),
        Column("return", "score", ".1f"),
        Column("first turn, s", "first_s", ".1f"),
        Column("GPU in use", "gpu_use", ".0%"),
    ),
    "gpu-tests": (
        Column("passed", "passed", ".0f"),
        Column("failed", "failed", ".0f"),
        Column("skipped", "skipped", ".0f"),
    ),
    "gpu-unflatten": (
        Column("us, CPU", "cpu_us", ".1f"),
        Column("us, GPU", "gpu_us", ".1f"),
    ),
    "gpu-profile": (
        Column("calls", "calls", ",.0f"),
        Column("ms of the GPU", "gpu_ms", ",.1f"),
        Column("ms of the CPU", "cpu_ms", ",.1f"),
    ),
}
COLUMNS["gpu-options"] = COLUMNS["options"]
COLUMNS["per-call"] = COLUMNS["emulation"]


def markdown(section: str, rows: Mapping[str, Row]) -> str:
    """Return a table in the form of Markdown; "-" where there is no value.

    A column without any value is left out.
    """
    return "\n".join(_lines(section, rows))


def _lines(section: str, rows: Mapping[str, Row]) -> Iterator[str]:
    columns = [
        column for column in COLUMNS[section] if any(column.key in row for row in rows.values())
    ]
    yield f"| | {' | '.join(column.heading for column in columns)} |"
    yield f"|---|{'---|' * len(columns)}"
    for name, row in rows.items():
        cells = [format(row[c.key], c.form) if c.key in row else "-" for c in columns]
        yield f"| {name} | {' | '.join(cells)} |"
