"""Write the tables of docs/learning.md from docs/records/learning.json.

    python benchmarks/learning_record.py [RECORD]

RECORD is a file that `--record` of `defaults.py`, `presets.py`, `standards.py` or `networks.py` has
written, or `LEARN_RECORD=RECORD make learn`. Its rows are added to docs/records/learning.json,
where they replace those of the same task; they are refused if their steps differ, or their seeds
are fewer. From that the page is written: each table between its markers, `<!-- learning SECTION:
begin -->` and `end`, with command, machine and date of its rows. Without RECORD the page is written
from the record as it stands.
"""

import argparse
import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from learning_tables import KEYS, Row, label, tables
from record import ROOT, load, run_facts, run_name, save

PAGE, RECORD = ROOT / "docs" / "learning.md", ROOT / "docs" / "records" / "learning.json"


def main() -> None:
    """Add a record to that of the page, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("record", type=Path, nargs="?", metavar="RECORD")
    parser.add_argument("--page", type=Path, default=PAGE, help="default: docs/learning.md")
    parser.add_argument(
        "--into", type=Path, default=RECORD, help="default: docs/records/learning.json"
    )
    arguments = parser.parse_args()
    if arguments.record is not None and not arguments.record.exists():
        parser.error(f"{arguments.record} does not exist. Write it with --record.")
    record = load(arguments.into)
    try:
        if arguments.record is not None:
            new = load(arguments.record)
            for table in new["tables"]:
                record = merged(record, table["section"], table["rows"], new["runs"])
        page = written(arguments.page.read_text(), record)
    except ValueError as error:
        parser.error(str(error))
    save(record, arguments.into)
    arguments.page.write_text(page)


class LearningRecorder:
    """Write rows into a new record as they are measured, with this machine and commit.

    Args:
        path: of the record; None: keep nothing.
        command: which measures the rows.

    Raises:
        ValueError: the file exists.
    """

    def __init__(self, path: Path | None, command: str) -> None:
        if path and path.exists():
            raise ValueError(
                f"{path} exists. A record is of one run: name a new file, or remove this one."
            )
        self._path = path
        self._record: dict[str, Any] = {"runs": {}, "tables": []}
        self._run = run_facts(command) if path else {}

    def add(self, section: str, row: Row) -> None:
        """Add a row of a section, one of `KEYS`, without the name of its run."""
        if self._path is None:
            return
        name = run_name(self._run)
        text = json.dumps({**row, "run": name})
        as_read = json.loads(text, parse_float=lambda number: round(float(number), 4))
        self._record = merged(self._record, section, [as_read], {name: self._run})
        save(self._record, self._path)


def merged(
    record: Mapping[str, Any], section: str, rows: Sequence[Row], runs: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a record with rows of a section, which replace those of the same key.

    What a new row lacks is kept, such as the question of a task. The "seeds" of a task that one run
    has measured are added to one another, and its "seconds" are their range.

    Raises:
        ValueError: there is no such section, the steps or flags of a row differ from those of its
            task, or it has fewer seeds than the row that it replaces.
    """
    if section not in KEYS:
        raise ValueError(f"There is no section {section}, only {', '.join(KEYS)}.")
    by_section = {table["section"]: table["rows"] for table in record["tables"]}
    kept = {_key(section, row): row for row in by_section.get(section, [])}
    for row in rows:
        old = kept.get(_key(section, row), {})
        if "seconds" in row and old.get("run") == row["run"]:
            seconds = [*old["seconds"], *row["seconds"]]
            seeds = {**old["seeds"], **row["seeds"]}
            row = {**row, "seeds": seeds, "seconds": [min(seconds), max(seconds)]}
        _check(section, row, old, [*kept.values()])
        kept[_key(section, row)] = {**old, **row}
    by_section[section] = [*kept.values()]
    used = {row["run"] for of_section in by_section.values() for row in of_section}
    known = {**record["runs"], **runs}
    return {
        "runs": {name: facts for name, facts in known.items() if name in used},
        "tables": [{"section": name, "rows": found} for name, found in by_section.items()],
    }


def _check(section: str, row: Row, old: Row, others: Sequence[Row]) -> None:
    """Refuse a row that cannot replace `old`, or does not compare with the others of its task."""
    of_task = [other for other in others if other["task"] == row["task"]]
    for setting in ("steps", "flags"):
        for given, known in ((row.get(setting), other.get(setting)) for other in of_task):
            if given != known:
                raise ValueError(
                    f"{section}: {label(section, row)} has {setting} {given}, but its task "
                    f"{known} in the table. Measure with those, or remove its rows from the record."
                )
    given, known = (_count(seeds) for seeds in (row.get("seeds", 0), old.get("seeds", 0)))
    if given < known:
        raise ValueError(
            f"{section}: {label(section, row)} has {given} seeds, but the row that it replaces has "
            f"{known}. Measure at least {known} in one run, or remove that row from the record."
        )


def _count(seeds: int | Mapping[str, Any]) -> int:
    return seeds if isinstance(seeds, int) else len(seeds)


def _key(section: str, row: Row) -> tuple[Any, ...]:
    return tuple(row.get(name) for name in KEYS[section])


def written(page: str, record: Mapping[str, Any]) -> str:
    """Return the text of a page with the tables of a record between its markers.

    Raises:
        ValueError: the page has no markers for a section of the record, or a row lacks a value.
    """
    for table in record["tables"]:
        begin, end = (f"<!-- learning {table['section']}: {side} -->" for side in ("begin", "end"))
        before, found, rest = page.partition(begin)
        _, ends, after = rest.partition(end)
        if not (found and ends):
            raise ValueError(f"The page has no lines {begin} and {end}. Add them.")
        section, rows = table["section"], table["rows"]
        try:
            parts = [*tables(section, rows), *sources(section, rows, record["runs"])]
        except KeyError as error:
            raise ValueError(f"{section}: a row has no {error}. Add it to the record.") from error
        page = "\n\n".join([f"{before}{begin}", *parts, f"{end}{after}"])
    return page


def sources(section: str, rows: Sequence[Row], runs: Mapping[str, Any]) -> Iterator[str]:
    """Yield a paragraph for each run: what measured its rows, and which, if it has not most."""
    count = [row["run"] for row in rows].count
    first, *others = sorted(dict.fromkeys(row["run"] for row in rows), key=count, reverse=True)
    yield _filled(f"Measured by {origin(runs[first])}")
    for run in others:
        names = dict.fromkeys(_measured(section, row, rows) for row in rows if row["run"] == run)
        yield _filled(f"{', '.join(names)}: by {origin(runs[run])}")


def _measured(section: str, row: Row, rows: Sequence[Row]) -> str:
    """Return the task of a row, or which of its rows it is if they are of several runs."""
    runs = {other["run"] for other in rows if other["task"] == row["task"]}
    return label(section, row) if len(runs) > 1 else label(section, {"task": row["task"]})


def _filled(text: str) -> str:
    return textwrap.fill(text, 100, break_on_hyphens=False)


def origin(run: Mapping[str, Any]) -> str:
    """Return command, machine, versions, commit, date and load of a run, as far as known."""
    known = run["machine"]
    cpu, python, commit, load = known["cpu"], known["python"], run["commit"], run["load"]
    dirty = " with changes not committed then" if run["is_dirty"] else ""
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
