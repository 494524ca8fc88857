"""What the benchmarks record survives, and so do the tables of the docs."""

import json
import os
import re
import shlex
import signal
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
    assert f"{new}: {section}: {title}. Measure" in refused.stderr
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
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert shlex.split(record.command()) == ["python", "benchmarks/options.py", *arguments]


def test_a_recorded_command_has_the_threads_and_no_folders_of_this_machine(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import record

    given = [str(BENCHMARKS / "a.py"), "--cleanrl", "/opt/bin/python", "--results=/home/me/a.json"]
    monkeypatch.setattr(sys, "argv", given)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    shown = "OMP_NUM_THREADS=1 python benchmarks/a.py --cleanrl python --results=a.json"
    assert record.command() == shown


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


# In place of Python: the first step leaves a process behind that keeps its output open.
LEAVES_A_PROCESS = """#!/bin/sh
[ "$1" != -c ] || exit 0
echo "$*" >> "$CALLS"
case $1 in *gpu_tests.py) setsid sleep 600 & echo $! > "$CALLS.pid" ;; esac
echo done
"""


def test_the_script_for_gpus_takes_paths_of_the_caller_and_waits_for_its_steps_only(tmp_path):
    (tmp_path / "python").write_text(LEAVES_A_PROCESS)
    (tmp_path / "python").chmod(0o755)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "page.json").write_text("of an earlier run")
    calls = tmp_path / "calls"
    environ = {**os.environ, "PYTHON": "./python", "CALLS": str(calls)}
    script = [str(BENCHMARKS / "gpu.sh"), "--cpu", "--out", "out", "--page", "page.md"]
    try:
        result = subprocess.run(
            script, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=240
        )
    finally:
        os.kill(int((tmp_path / "calls.pid").read_text()), signal.SIGKILL)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count("\ndone\n==") == 5
    assert (tmp_path / "out" / "tests.log").read_text() == "done\n"
    assert not (tmp_path / "out" / "page.json").exists()
    report = calls.read_text().splitlines()[-1].split()
    assert report[report.index("--page") + 1] == str(tmp_path / "page.md")


def test_the_sizes_for_a_cpu_are_not_written_to_the_docs():
    command = ["./gpu.sh", "--cpu", "--page", "../docs/benchmarks.md"]
    refused = subprocess.run(
        command, cwd=BENCHMARKS, capture_output=True, text=True, timeout=240, check=False
    )
    assert refused.returncode == 2
    assert "name another page" in refused.stderr


def test_the_limits_of_the_script_for_gpus_add_up_to_eight_minutes():
    text = (BENCHMARKS / "gpu.sh").read_text()
    # The second of two branches is that for a CPU; the loop runs for two tasks.
    on_gpu = re.sub(r"^else\n  step.*?^fi$", "", text, flags=re.M | re.S)
    steps = re.findall(r'^ *step ("?[\w$-]+"?) (\d+) ', on_gpu, re.M)
    assert len(steps) == 5
    steps += [(name, limit_s) for name, limit_s in steps if "$task" in name]
    limits_s = [int(limit_s) + 5 for _, limit_s in steps]  # and until it is killed
    checks_s = map(int, re.findall(r"timeout --signal KILL (\d+)", text))
    assert sum(limits_s) + sum(checks_s) <= 8 * 60
