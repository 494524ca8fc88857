"""Write the tables of docs/benchmarks.md from the record of a run.

    make bench && python benchmarks/report.py build/benchmarks.json

The tables of the record are added to docs/records/benchmarks.json, where they replace older ones of
the same name. From that the page is written: each section between its markers, `<!-- bench SECTION:
begin -->` and `end`. Sections of which the record has no tables stay as they are. A section
with a table that the record lacks is refused, because the table would be lost; --replace drops it.
"""

import argparse
import datetime
import itertools
import re
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from record import ROOT, load, merged, save
from tables import Table, markdown
from targets import POOL, Verdict, best_alternative, best_way, verdicts

PAGE, RECORD = ROOT / "docs" / "benchmarks.md", ROOT / "docs" / "records" / "benchmarks.json"
# How the title of a table is found on the page; in "vector", each table is a row.
TITLE, TITLE_OF_ROW = r"^\*\*(.+?)\*\*", r"^\| (?!target \|)([^ |].*?) \|"


def main() -> None:
    """Add a record to that of the page, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("record", type=Path, metavar="RECORD", help="what --record has written")
    parser.add_argument("--page", type=Path, default=PAGE, help="default: docs/benchmarks.md")
    parser.add_argument(
        "--into", type=Path, default=RECORD, help="default: docs/records/benchmarks.json"
    )
    parser.add_argument(
        "--replace", action="store_true", help="drop tables of the page that the record lacks"
    )
    arguments = parser.parse_args()
    if not arguments.record.exists():
        parser.error(
            f"{arguments.record} does not exist; `make bench` writes build/benchmarks.json"
        )
    record = merged(load(arguments.into), load(arguments.record))
    page = arguments.page.read_text()
    for section in {table["section"]: None for table in record["tables"]}:
        begin, end = markers(section)
        if begin not in page or end not in page:
            parser.error(f"{arguments.page} has no lines {begin} and {end}")
    if not arguments.replace and (lost := [*missing(page, record)]):
        parser.error(
            f"{arguments.page} would lose tables that are neither in {arguments.into} nor in "
            f"{arguments.record}: {'; '.join(lost)}. Measure them too, or drop them with --replace."
        )
    save(record, arguments.into)
    arguments.page.write_text(written(page, record))


def markers(section: str) -> tuple[str, str]:
    """Return the lines between which the tables of a section are."""
    return f"<!-- bench {section}: begin -->", f"<!-- bench {section}: end -->"


def written(page: str, record: dict[str, Any]) -> str:
    """Return the text of a page with the tables of a record between its markers."""
    for section, tables in itertools.groupby(
        sorted(record["tables"], key=lambda table: table["section"]), lambda table: table["section"]
    ):
        begin, end = markers(section)
        before, _, rest = page.partition(begin)
        after = rest.partition(end)[2]
        text = "\n\n".join(paragraphs(section, [*tables], record["runs"]))
        page = f"{before}{begin}\n{text}\n{end}{after}"
    return page


def missing(page: str, record: dict[str, Any]) -> Iterator[str]:
    """Yield the tables of a page which the record lacks, of the sections that it has."""
    for section in {table["section"]: None for table in record["tables"]}:
        begin, end = markers(section)
        text = page.partition(begin)[2].partition(end)[0]
        titles = re.findall(TITLE_OF_ROW if section == "vector" else TITLE, text, re.M)
        known = {table["title"] for table in record["tables"] if table["section"] == section}
        for title in dict.fromkeys(titles):
            if title not in known:
                yield f"{section}: {title}"


def paragraphs(
    section: str, measured: Sequence[dict[str, Any]], runs: dict[str, Any]
) -> Iterator[str]:
    """Yield the runs, tables and targets of a section."""
    for name in dict.fromkeys(table["run"] for table in measured):
        yield textwrap.fill(origin(runs[name]), 100, break_on_hyphens=False)
    tables = [Table(table["name"], table["title"], table["rows"]) for table in measured]
    if section == "vector":
        yield summary(tables)
    else:
        for table in tables:
            yield f"**{table.title}**"
            yield markdown(section, table.rows)
    found = [(table, verdict) for table in tables for verdict in verdicts(section, table)]
    if found:
        yield target_table(found)


def origin(run: dict[str, Any]) -> str:
    """Return command, machine, versions, commit, date and load of a run as a sentence."""
    machine = run["machine"]
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    gpus = "".join(f", {gpu}" for gpu in machine["gpus"])
    commit = f"commit {run['commit']}{' with changes' if run['is_dirty'] else ''}"
    date = datetime.datetime.fromisoformat(run["date"])
    return (
        f"`{run['command']}`: {machine['cores']} cores of {machine['cpu']}, "
        f"{machine['memory_gb']:.0f} GB{gpus}, Linux {machine['kernel']}, Python "
        f"{machine['python']}, {packages}, {commit}, {date:%Y-%m-%d}, load {run['load']:.1f}."
    )


def summary(tables: Sequence[Table]) -> str:
    """Return a table with a line for each table of benchmarks/vector.py."""
    headings = (
        *("best way, synchronous", "of the bound", "of the best alternative", "CPU a step"),
        *("pool: of the bound", "pool: of the best alternative", "best alternative"),
    )
    lines = [f"| | {' | '.join(headings)} |", f"|---|{'---|' * len(headings)}"]
    for table in tables:
        rows, way = table.rows, best_way(table.rows)
        best, pool = rows[way], rows[POOL]
        numbers = (
            *(best["of_bound"], best["of_best"], best["cpu_a_step"]),
            *(pool["of_bound"], pool["of_best"]),
        )
        shown = " | ".join(f"{number:.2f}" for number in numbers)
        way = way.replace("Multiprocessing", "workers")
        lines.append(f"| {table.title} | {way} | {shown} | {best_alternative(rows)} |")
    return "\n".join(lines)


def target_table(found: Sequence[tuple[Table, Verdict]]) -> str:
    """Return a table of targets and of what was reached."""
    lines = ["| target | | | reached | |", "|---|---|---|---|---|"]
    for table, verdict in found:
        target = verdict.target
        lines.append(
            f"| {table.title} | {target.quantity} | {target.value:g} | {verdict.reached:.2f} | "
            f"{verdict.outcome} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
