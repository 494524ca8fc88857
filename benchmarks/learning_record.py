"""Write the tables of docs/learning.md from docs/records/learning.json.

    python benchmarks/learning_record.py [RECORD]

RECORD is a file that `defaults.py --record`, `presets.py --record` or `networks.py --record` has
written, or `LEARN_RECORD=RECORD make learn`. Its rows are added to docs/records/learning.json,
where they replace those of the same task. From that the page is written: each table between its
markers, `<!-- learning SECTION: begin -->` and `end`, with command, machine and date of its rows.
Without RECORD the page is written from the record as it stands.
"""

import argparse
import os
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from learning_tables import Row, tables
from record import ROOT, git, load, machine, save

PAGE, RECORD = ROOT / "docs" / "learning.md", ROOT / "docs" / "records" / "learning.json"
# By which values a row of a section is found.
KEYS = {
    "defaults": ("task", "library"),
    "ocean": ("task", "variant"),
    "tasks": ("task",),
    "families": ("task", "flags"),
    "networks": ("task", "network", "seed"),
}


def main() -> None:
    """Add a record to that of the page, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("record", type=Path, nargs="?", metavar="RECORD")
    parser.add_argument("--page", type=Path, default=PAGE, help="default: docs/learning.md")
    parser.add_argument(
        "--into", type=Path, default=RECORD, help="default: docs/records/learning.json"
    )
    arguments = parser.parse_args()
    record = load(arguments.into)
    if arguments.record is not None:
        if not arguments.record.exists():
            parser.error(f"{arguments.record} does not exist. Write it with --record.")
        new = load(arguments.record)
        for table in new["tables"]:
            record = merged(record, table["section"], table["rows"], new["runs"])
    page = written(arguments.page.read_text(), record)
    save(record, arguments.into)
    arguments.page.write_text(page)


class LearningRecorder:
    """Add rows to a record as they are measured, with this machine and commit.

    Args:
        section: one of `KEYS`.
        path: of the record; None: keep nothing.
        command: which measures the rows.
    """

    def __init__(self, section: str, path: Path | None, command: str) -> None:
        self._section, self._path, self._command = section, path, command
        self._began = datetime.now(UTC).isoformat(timespec="seconds")
        self._load = round(os.getloadavg()[0], 1)

    def add(self, row: Row) -> None:
        """Add a row, without the name of its run."""
        if self._path is None:
            return
        name = f"{self._began} {self._command}"
        facts = {"command": self._command, "date": self._began, "load": self._load}
        run = {**facts, **git(), "machine": machine()}
        new = merged(load(self._path), self._section, [{**row, "run": name}], {name: run})
        save(new, self._path)


def merged(
    record: Mapping[str, Any], section: str, rows: Sequence[Row], runs: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a record with rows of a section, which replace those of the same key.

    What a new row lacks is kept, such as the score of random play. The "seeds" of a task that one
    run has measured are added to one another, and its "seconds" are their range.
    """
    by_section = {table["section"]: table["rows"] for table in record["tables"]}
    kept = {_key(section, row): row for row in by_section.get(section, [])}
    for row in rows:
        old = kept.get(_key(section, row), {})
        kept[_key(section, row)] = {**old, **row}
        if "seconds" in row and old.get("run") == row["run"]:
            seconds = [*old["seconds"], *row["seconds"]]
            kept[_key(section, row)] |= {
                "seeds": {**old["seeds"], **row["seeds"]},
                "seconds": [min(seconds), max(seconds)],
            }
    by_section[section] = [*kept.values()]
    used = {row["run"] for of_section in by_section.values() for row in of_section}
    known = {**record["runs"], **runs}
    return {
        "runs": {name: facts for name, facts in known.items() if name in used},
        "tables": [{"section": name, "rows": found} for name, found in by_section.items()],
    }


def _key(section: str, row: Row) -> tuple[Any, ...]:
    return tuple(row.get(name) for name in KEYS[section])


def written(page: str, record: Mapping[str, Any]) -> str:
    """Return the text of a page with the tables of a record between its markers.

    Raises:
        ValueError: the page has no markers for a section of the record.
    """
    for table in record["tables"]:
        begin, end = (f"<!-- learning {table['section']}: {side} -->" for side in ("begin", "end"))
        before, found, rest = page.partition(begin)
        _, ends, after = rest.partition(end)
        if not (found and ends):
            raise ValueError(f"The page has no lines {begin} and {end}. Add them.")
        parts = [*tables(table["section"], table["rows"]), *sources(table["rows"], record["runs"])]
        page = "\n\n".join([f"{before}{begin}", *parts, f"{end}{after}"])
    return page


def sources(rows: Sequence[Row], runs: Mapping[str, Any]) -> Iterator[str]:
    """Yield a paragraph for each run: what measured its rows, and which, if it has not most."""
    count = [row["run"] for row in rows].count
    first, *others = sorted(dict.fromkeys(row["run"] for row in rows), key=count, reverse=True)
    yield _filled(f"Measured by {origin(runs[first])}")
    for name in others:
        tasks = dict.fromkeys(f"`{row['task']}`" for row in rows if row["run"] == name)
        yield _filled(f"{', '.join(tasks)}: by {origin(runs[name])}")


def _filled(text: str) -> str:
    return textwrap.fill(text, 100, break_on_hyphens=False)


def origin(run: Mapping[str, Any]) -> str:
    """Return command, machine, versions, commit, date and load of a run, as far as known."""
    known = run["machine"]
    cpu, python, commit, load = known["cpu"], known["python"], run["commit"], run["load"]
    dirty = " with changes" if run["is_dirty"] else ""
    facts = [
        f"{known['cores']} cores" + (f" of {cpu}" if cpu else ""),
        f"Python {python}" if python else "",
        *(f"{name} {version}" for name, version in known["packages"].items()),
        f"commit {commit}{dirty}" if commit else "",
        run["date"].partition("T")[0],
        f"load {load}" if load is not None else "",
        run.get("note", ""),
    ]
    return f"`{run['command']}`: {', '.join(filter(None, facts))}."


if __name__ == "__main__":
    main()
