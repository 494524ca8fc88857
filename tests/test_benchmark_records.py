"""What the benchmarks record survives, and so do the tables of the docs."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
RECORD = BENCHMARKS.parent / "docs" / "records" / "benchmarks.json"

PUBLISHED = {
    "native": ("**A, 32 games**\n\n| | ratio |\n|---|---|\n| native | 1.72 |\n", "A, 32 games"),
    "vector": ("| | best way |\n|---|---|\n| A, 2 environments | Serial |\n", "A, 2 environments"),
}


@pytest.mark.parametrize("section", PUBLISHED)
def test_tables_that_the_record_lacks_are_not_removed_from_the_page(section, tmp_path):
    published, title = PUBLISHED[section]
    page, new, into = (tmp_path / name for name in ("page.md", "new.json", "into.json"))
    page.write_text(f"<!-- bench {section}: begin -->\n{published}<!-- bench {section}: end -->\n")
    record = json.loads(RECORD.read_text())
    rows = {"one by one": {"ratio": 1.0}, "native": {"ratio": 1.5}}
    if section == "vector":
        shares = dict.fromkeys(("steps_per_s", "of_bound", "of_best", "cpu_a_step"), 1.0)
        rows = dict.fromkeys(("Serial", "Gymnasium Sync", "Multiprocessing, pool of half"), shares)
    run = next(iter(record["runs"]))
    table = {"section": section, "name": "b", "title": "B", "rows": rows, "run": run}
    new.write_text(json.dumps({"runs": record["runs"], "tables": [table]}))
    command = [sys.executable, str(BENCHMARKS / "report.py"), str(new)]
    command += ["--page", str(page), "--into", str(into)]
    before = page.read_text()
    refused = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert refused.returncode == 2
    assert f"{section}: {title}." in refused.stderr
    assert (page.read_text(), into.exists()) == (before, False)
    subprocess.run([*command, "--replace"], check=True, timeout=240)
    assert "B" in page.read_text()
    assert title not in page.read_text()


@pytest.mark.parametrize("option", [["--record", "a b.json"], ["--record=a b.json"]])
def test_a_recorded_command_can_be_run_again(option, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import record

    arguments = ["--options", "compile, bfloat16", "--kwargs", '{"observation_keys": ["chars"]}']
    monkeypatch.setattr(sys, "argv", [str(BENCHMARKS / "options.py"), *option, *arguments])
    assert shlex.split(record.command()) == ["python", "benchmarks/options.py", *arguments]
