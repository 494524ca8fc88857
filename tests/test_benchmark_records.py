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


@pytest.fixture
def measured_options(monkeypatch, tmp_path):
    """A function that measures options on CartPole and returns the rows of the record."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import options

    def measured(settings, *arguments):
        path = tmp_path / "record.json"
        sizes = ["--device", "cpu", "--only", "cartpole", "--rounds", "1", "--rollouts", "1"]
        monkeypatch.setattr(options, "OPTIONS", settings)
        names = ["--options", *settings]
        command = ["options.py", *sizes, *names, "--record", str(path), *arguments]
        monkeypatch.setattr(sys, "argv", command)
        try:
            options.main()
        finally:
            (table,) = json.loads(path.read_text())["tables"]
            rows.update(table["rows"])

    rows = {}
    return measured, rows


def test_an_option_that_fails_loses_no_other(measured_options):
    measure, rows = measured_options
    with pytest.raises(TypeError, match="unknown"):
        measure({"float32": {}, "broken": {"unknown": 1}})
    assert rows["float32"]["ratio"] == 1
    assert rows["broken"] == {}


def test_options_after_the_time_limit_are_left_out(measured_options):
    measure, rows = measured_options
    measure({"float32": {}, "bfloat16": {"precision": "bfloat16"}}, "--limit-s", "0")
    assert rows["float32"]["steps_per_s"] > 0
    assert rows["bfloat16"] == {}
