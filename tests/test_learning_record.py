"""The tables of docs/learning.md are those of docs/records/learning.json."""

import json
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
DOCS = BENCHMARKS.parent / "docs"
PAGE, RECORD = DOCS / "learning.md", DOCS / "records" / "learning.json"


@pytest.fixture
def learning_record(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import learning_record

    return learning_record


def test_the_page_has_the_tables_of_the_record(learning_record):
    record, page = json.loads(RECORD.read_text()), PAGE.read_text()
    assert {table["section"] for table in record["tables"]} == set(learning_record.KEYS)
    assert learning_record.written(page, record) == page


def test_every_row_of_the_record_says_how_and_when_it_was_measured():
    record = json.loads(RECORD.read_text())
    rows = [row for table in record["tables"] for row in table["rows"]]
    assert len(rows) > 80
    for row in rows:
        run = record["runs"][row["run"]]
        assert {"command", "date", "commit", "is_dirty", "load", "machine"} <= set(run)
        assert {"cpu", "cores", "python", "packages"} <= set(run["machine"])
        assert run["command"]
        assert run["date"]
        assert run["machine"]["cores"] >= 1


@pytest.fixture
def added(learning_record, tmp_path, monkeypatch):
    """A function that adds a record to copies of those of the docs; returns page and record."""
    into, page = tmp_path / "into.json", tmp_path / "page.md"

    def add(record):
        into.write_text(RECORD.read_text())
        page.write_text(PAGE.read_text())
        paths = [str(record), "--page", str(page), "--into", str(into)]
        monkeypatch.setattr(sys, "argv", ["learning_record.py", *paths])
        learning_record.main()
        return page.read_text(), into.read_text()

    return add


def test_measuring_a_task_again_replaces_its_row_and_no_other(learning_record, added, tmp_path):
    new = tmp_path / "new.json"
    recorder = learning_record.LearningRecorder(new, "pytest -k ocean")
    for seed, score, seconds in ((4, 0.5, 7), (5, 0.75, 12.34567), (6, 1.0, 9)):
        row = {"task": "memory", "seeds": {seed: score}, "seconds": [seconds, seconds]}
        recorder.add("ocean", row)
    text, record = added(new)
    before, after = PAGE.read_text().splitlines(), text.splitlines()
    scores = "| 0.25 | 1 |  |  |  | 0.50 | 0.75 | 1.00 | 7 to 12 |"
    assert f"| `memory` | does a recurrent policy remember? {scores}" in after
    assert [line for line in after if line.startswith("`memory`: by `pytest -k ocean`")]
    own = before[before.index("<!-- learning ocean: begin -->") :]
    own = own[: own.index("<!-- learning ocean: end -->")]
    assert {line for line in before if line not in after} <= {*own}
    [other] = [line for line in before if line.startswith("| `memory` (not recurrent) |")]
    until_seed_1 = " | ".join(other.split(" | ")[:5])
    assert [line for line in after if line.startswith(until_seed_1)]
    assert '"seconds": [7, 12.3457]' in " ".join(record.split()).replace("[ ", "[").replace(
        " ]", "]"
    )


def test_rows_of_one_task_that_are_of_several_runs_are_named_whole(
    learning_record, added, tmp_path
):
    cells = {"seeds": 3, "last_100": 1.0, "sampled": [1, 1, 1], "greedy": [1, 1, 1], "cpu_s": 1}
    row = {"task": "CartPole-v1", "steps": 100_000, "library": "sb3", **cells}
    learning_record.LearningRecorder(tmp_path / "new.json", "again").add("defaults", row)
    text, _ = added(tmp_path / "new.json")
    assert "`CartPole-v1` (sb3): by `again`" in text


REFUSED = {
    "other steps": (
        *("networks", "steps 1000, but its task 400000"),
        {"task": "NetHackScout-v0", "network": "random", "steps": 1000, "return": [1, 1, 1]},
    ),
    "other flags": (
        *("families", "flags --env.kwargs.max-steps 9, but its task --env.kwargs.max-steps 512"),
        {"task": "HomebrewWalk-v0", "flags": "--env.kwargs.max-steps 9", "steps": 100_000},
    ),
    "no question": (
        *("ocean", "a row has no 'question'"),
        {"task": "new", "random": 0, "optimal": 1, "seeds": {"1": 1.0}, "seconds": [9, 9]},
    ),
    "fewer seeds": (
        *("ocean", "1 seeds, but the row that it replaces has 3"),
        {"task": "memory", "seeds": {"2": 1.0}, "seconds": [9, 9]},
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_row_that_does_not_compare_is_refused(case, learning_record, added, tmp_path, capsys):
    section, message, row = REFUSED[case]
    learning_record.LearningRecorder(tmp_path / "new.json", "again").add(section, row)
    with pytest.raises(SystemExit, match="2"):
        added(tmp_path / "new.json")
    assert message in capsys.readouterr().err
    assert (tmp_path / "page.md").read_text() == PAGE.read_text()
    assert (tmp_path / "into.json").read_text() == RECORD.read_text()


def test_a_record_is_of_one_run(learning_record, tmp_path):
    (tmp_path / "old.json").write_text("{}")
    with pytest.raises(ValueError, match="name a new file"):
        learning_record.LearningRecorder(tmp_path / "old.json", "again")


def test_results_of_an_earlier_run_are_not_recorded(monkeypatch, tmp_path, capsys):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import defaults

    results = tmp_path / "results.jsonl"
    results.write_text("")
    given = ["--libraries", "sb3", "--results", str(results), "--record", str(tmp_path / "a.json")]
    monkeypatch.setattr(sys, "argv", ["defaults.py", *given])
    with pytest.raises(SystemExit, match="2"):
        defaults.main()
    assert "has results of another run" in capsys.readouterr().err


def test_a_page_without_a_place_for_a_table_is_refused(learning_record):
    record = json.loads(RECORD.read_text())
    page = PAGE.read_text().replace("<!-- learning ocean: end -->", "")
    with pytest.raises(ValueError, match="learning ocean: end"):
        learning_record.written(page, record)
