"""The tables of docs/learning.md are those of docs/records/learning.json."""

import json
import subprocess
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


def test_measuring_a_task_again_replaces_its_row_and_no_other(learning_record, tmp_path):
    new, into, page = (tmp_path / name for name in ("new.json", "into.json", "page.md"))
    into.write_text(RECORD.read_text())
    page.write_text(PAGE.read_text())
    recorder = learning_record.LearningRecorder("ocean", new, "pytest -k ocean")
    recorder.add({"task": "memory", "seeds": {"1": 0.5}, "seconds": [7, 7]})
    recorder.add({"task": "memory", "seeds": {"2": 0.75}, "seconds": [12, 12]})
    command = [sys.executable, str(BENCHMARKS / "learning_record.py"), str(new)]
    command += ["--page", str(page), "--into", str(into)]
    subprocess.run(command, check=True, timeout=240)
    before, after = PAGE.read_text().splitlines(), page.read_text().splitlines()
    row = "| `memory` | does a recurrent policy remember? | 0.25 | 1 | 0.50, 0.75 | 7 to 12 |"
    assert row in after
    assert [line for line in after if line.startswith("`memory`: by `pytest -k ocean`")]
    lost = [line for line in before if line not in after]
    assert len(lost) == 1
    assert lost[0].startswith("| `memory` | does a recurrent policy remember?")
    record = json.loads(into.read_text())
    run = record["runs"][f"{recorder._began} pytest -k ocean"]
    assert run["machine"]["cores"] >= 1


def test_a_page_without_a_place_for_a_table_is_refused(learning_record):
    record = json.loads(RECORD.read_text())
    page = PAGE.read_text().replace("<!-- learning ocean: end -->", "")
    with pytest.raises(ValueError, match="learning ocean: end"):
        learning_record.written(page, record)
