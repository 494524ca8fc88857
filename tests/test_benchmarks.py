"""The scripts of benchmarks/ run from end to end and print every row."""

import json
import math
import os
import platform
import re
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
RECORD = BENCHMARKS.parent / "docs" / "records" / "benchmarks.json"


def rows(script, *arguments):
    """Run a script; return the rows of its tables, by table and by contender, as numbers."""
    result = subprocess.run(
        [sys.executable, str(BENCHMARKS / script), *arguments],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert result.returncode == 0, result.stderr
    assert "do not rest" not in result.stderr
    tables = {}
    for title, table in re.findall(r"^\*\*(.+?)\*\*.*?\n\n(.+?)\n\n", result.stdout, re.M | re.S):
        head, _, *lines = (
            [cell.strip() for cell in line.split("|")[1:-1]] for line in table.split("\n")
        )
        tables[title] = {name: dict(zip(head[1:], cells, strict=True)) for name, *cells in lines}
    return tables


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """The record of `make bench`, in its shortest form, and what it printed."""
    path = tmp_path_factory.mktemp("bench") / "record.json"
    command = [sys.executable, str(BENCHMARKS / "run.py"), "--quick", "--record", str(path)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert result.returncode == 0, result.stderr
    assert "do not rest" not in result.stderr
    return path, json.loads(path.read_text()), result.stdout


def recorded(record, section):
    return {each["name"]: each["rows"] for each in record["tables"] if each["section"] == section}


def test_emulation_compares_each_contender_with_the_first(quick):
    tables = recorded(quick[1], "emulation")
    assert len(tables) == 6
    for table in tables.values():
        first, *others = table.values()
        assert (first["adds_us"], first["ratio"]) == (0, 1)
        assert others
        for row in others:
            assert row["us"] / first["us"] == pytest.approx(row["ratio"])


@pytest.mark.parametrize(("cell", "alternatives"), [("cartpole-2", 4), ("agents-16-8", 1)])
def test_vectorizers_are_compared_with_the_bound_and_the_best_alternative(
    quick, cell, alternatives
):
    table = recorded(quick[1], "vector")[cell]
    assert list(table)[:2] == ["bound", "one bare"]
    assert len(table) == 6 + alternatives
    rates = {name: row["steps_per_s"] for name, row in table.items()}
    best = max(list(table)[6:], key=rates.__getitem__)
    for name, row in table.items():
        assert row["of_bound"] == pytest.approx(rates[name] / rates["bound"])
        assert row["of_best"] == pytest.approx(rates[name] / rates[best])
        assert 0 < row["cpus"] < 1.1 * os.cpu_count()
        assert row["cpu_a_step"] > 0


def test_the_cost_of_a_call_is_what_serial_adds_to_the_bare_steps(quick):
    tables = recorded(quick[1], "per-call")
    assert list(tables["cartpole-8"]) == ["bare", "Serial", "Gymnasium Sync"]
    assert list(tables["agents-16-8"]) == ["bare", "Serial"]
    for table in tables.values():
        added = table["Serial"]["us"] - table["bare"]["us"]
        assert table["Serial"]["adds_us"] == pytest.approx(added)


def test_on_a_busy_machine_the_fall_is_compared_with_that_of_processes_without_communication(quick):
    table = recorded(quick[1], "busy")["cartpole"]
    assert list(table) == ["2 workers", "2 workers, pool of half", "Gymnasium Async"]
    for row in table.values():
        assert row["fall"] == pytest.approx(1 - row["busy_steps_per_s"] / row["steps_per_s"])
        assert row["fall_to_lost"] == pytest.approx(row["fall"] / row["cpu_lost"])
    one, other, _ = table.values()
    assert one["cpu_lost"] == other["cpu_lost"]  # that of two processes


def test_a_record_says_where_and_how_it_was_measured(quick):
    _, record, _ = quick
    assert {table["run"] for table in record["tables"]} == set(record["runs"])
    for run in record["runs"].values():
        machine = run["machine"]
        assert machine["python"] == platform.python_version()
        assert machine["packages"]["numpy"] == np.__version__
        assert 0 < machine["cores"] <= os.cpu_count()
        assert re.fullmatch(r"[0-9a-f]{10}", run["commit"] or "0" * 10)
        assert datetime.fromisoformat(run["date"]) <= datetime.now(UTC)
        assert re.match("(OMP_NUM_THREADS=1 )?python benchmarks/", run["command"])
        assert "--record" not in run["command"]


def test_each_target_is_printed_as_met_or_missed(quick):
    line = r"^.+: Target [\d.]+, (.+): (\S+), (?:met|missed by [\d.]+)$"
    verdicts = re.findall(line, quick[2], re.M)
    assert len(verdicts) == 5  # two of emulation, two of vectorizers, one of busy machines
    for quantity, reached in verdicts:
        may_be_negative = quantity == "fall to CPU lost, at most"  # where a busy turn was faster
        assert re.fullmatch(r"-?\d+\.\d\d" if may_be_negative else r"\d+\.\d\d", reached)


@pytest.fixture
def benchmarks(monkeypatch):
    """The modules of benchmarks/ can be imported."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))


@pytest.mark.parametrize(
    ("quantity", "reached", "outcome"),
    [
        ("synchronous, of the best alternative", 2.0, "met"),
        ("synchronous, of the best alternative", 1.37, "missed by 0.63"),
        ("fall to CPU lost, at most", 1.9, "met"),
        ("fall to CPU lost, at most", 2.25, "missed by 0.25"),
    ],
)
def test_a_target_is_met_or_missed(benchmarks, quantity, reached, outcome):
    from targets import Target, Verdict

    assert Verdict(Target("vector", "cartpole-2", quantity, 2), reached).outcome == outcome


def test_a_target_of_training_is_of_our_rows_in_its_precision(benchmarks):
    from tables import Table
    from targets import verdicts

    rows = {"Serial": 1.1, "Pool": 1.2, "Serial, bfloat16": 1.4, "Serial, bfloat16, compiled": 1.8}
    others = {"SB3 Dummy": 1.0, "SBX": 3.0, "Sample Factory async": 2.0, "CleanRL": 2.0}
    shares = {name: {"of_sb3": share} for name, share in (rows | others).items()}
    found = [*verdicts("training", Table("breakout", "", shares))]
    assert [(each.reached, each.outcome) for each in found] == [
        (1.2, "missed by 0.10"),
        (1.8, "met"),
    ]


def test_the_time_limits_of_make_bench_add_up_to_a_quarter_of_an_hour(benchmarks):
    import run
    from cells import CELLS

    assert sum(run.LIMITS_S.values()) <= 15 * 60
    table_s = float(run.OPTIONS["vector"][run.OPTIONS["vector"].index("--table-s") + 1])
    tables = sum(not cell.is_extra for cell in CELLS.values())
    assert tables * table_s < run.LIMITS_S["vector"]


def test_the_page_is_written_from_the_record_between_its_markers(quick, tmp_path):
    path, record, _ = quick
    page, into = tmp_path / "page.md", tmp_path / "into.json"
    sections = ("emulation", "vector", "per-call", "busy", "native")
    marked = [f"<!-- bench {n}: begin -->\nold {n}\n<!-- bench {n}: end -->\n" for n in sections]
    page.write_text("".join(["Before\n", *marked, "After\n"]))
    command = [sys.executable, str(BENCHMARKS / "report.py"), str(path)]
    command += ["--page", str(page), "--into", str(into)]
    for _ in range(2):  # the same again
        subprocess.run(command, check=True, timeout=240)
        text = page.read_text()
        begin = "Before\n<!-- bench emulation: begin -->\n`"
        assert re.match(f"{begin}(OMP_NUM_THREADS=1 )?python benchmarks/", text)
        assert text.endswith("old native\n<!-- bench native: end -->\nAfter\n")
        assert text.count("old") == 1
        assert text.count("**A step of CartPole**") == 1
        assert text.count("| CartPole, 2 environments |") == 2  # a row, and its target
        for row in recorded(record, "emulation")["cartpole"].values():
            assert f" {row['ratio']:.3f} |" in text
    assert json.loads(into.read_text()) == record
    page.write_text("no markers")
    refused = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert refused.returncode == 2
    assert "has no lines <!-- bench emulation: begin -->" in refused.stderr


@pytest.mark.skipif(not RECORD.exists(), reason="the page has not been written from a record yet")
def test_the_tables_of_the_docs_are_those_of_the_record(benchmarks):
    from report import PAGE, written

    assert written(PAGE.read_text(), json.loads(RECORD.read_text())) == PAGE.read_text()


def test_the_utilization_of_a_gpu_is_sampled_between_two_times(benchmarks, tmp_path, monkeypatch):
    from utilization import sampled

    # What nvidia-smi prints in a loop, then it waits as that does.
    stand_in = tmp_path / "nvidia-smi"
    stand_in.write_text("#!/bin/sh\nprintf '40\\n[N/A]\\n60\\n'\nexec sleep 600\n")
    stand_in.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    began_s = time.perf_counter()
    with sampled() as samples:
        while samples.mean(began_s, math.inf) != 0.5:
            assert time.perf_counter() - began_s < 60
        assert samples.mean(began_s - 1, began_s) is None
    monkeypatch.setenv("PATH", "")
    with sampled() as samples:
        assert samples.mean(0, math.inf) is None


@pytest.mark.long
def test_the_script_for_gpus_goes_the_same_way_on_a_cpu(tmp_path):
    out, page = tmp_path / "out", tmp_path / "page.md"
    steps = ("gpu-tests", "gpu-unflatten", "options", "gpu-profile")
    page.write_text("".join(f"<!-- bench {n}: begin --><!-- bench {n}: end -->\n" for n in steps))
    script = [str(BENCHMARKS / "gpu.sh"), "--cpu", "--out", str(out), "--page", str(page)]
    environ = {**os.environ, "PYTHON": sys.executable}
    result = subprocess.run(script, env=environ, capture_output=True, text=True, timeout=240)
    assert result.returncode == 0, result.stdout + result.stderr
    record = json.loads((out / "record.json").read_text())
    assert [table["section"] for table in record["tables"]] == [*steps]
    assert recorded(record, "gpu-tests")["tests"]["tests"]["skipped"] >= 2
    assert list(recorded(record, "options")["cartpole"]) == ["float32", "bfloat16"]
    assert json.loads((out / "trace.json").read_text())["traceEvents"]
    assert "CartPole-v1" in page.read_text()


@pytest.mark.long
def test_processes_for_each_of_many_environments_are_left_out():
    (table,) = rows(
        "vector.py", "--only", "nested-actions-64", "--rounds", "1", "--seconds", "0.05"
    ).values()
    left_out = [name for name, row in table.items() if set(row.values()) == {"-"}]
    assert left_out == ["Gymnasium Async", "SB3 Dummy", "SB3 Subproc"]


def test_the_names_of_the_cells_are_listed_and_others_refused():
    command = [sys.executable, str(BENCHMARKS / "vector.py")]
    listed = subprocess.run([*command, "--list"], capture_output=True, text=True, timeout=240)
    assert {"cartpole-8", "cartpole-256", "nethack-64"} < set(listed.stdout.split())
    refused = subprocess.run([*command, "--only", "x"], capture_output=True, text=True, timeout=240)
    assert refused.returncode == 2
    assert "invalid choice: 'x'" in refused.stderr


@pytest.mark.long
def test_native_games_are_compared_with_as_many_ordinary_ones(tmp_path):
    path = tmp_path / "record.json"
    sizes = ("--rounds", "1", "--num-envs", "2", "--steps", "2")
    tables = rows("native.py", *sizes, "--record", str(path))
    assert len(tables) == 6
    for title, table in tables.items():
        others = ["native, library not shared"] if "NetHack" in title else []
        assert list(table) == ["one by one", "native", *others]
        assert (table["one by one"]["ratio"], table["one by one"]["CPU time, ratio"]) == (
            "1.00",
            "1.00",
        )
    for table in recorded(json.loads(path.read_text()), "native").values():
        first, *others = table.values()
        for row in others:
            assert row["ratio"] == pytest.approx(row["steps_per_s"] / first["steps_per_s"])
            assert row["cpu_ratio"] == pytest.approx(row["cpu_us"] / first["cpu_us"])


@pytest.mark.long
def test_trainers_are_compared_with_the_best_of_stable_baselines3():
    table = rows("training.py", "--only", "cartpole", "--rounds", "1", "--rollouts", "1")
    (table,) = table.values()
    ours, sb3s = ("Serial", "Multiprocessing", "Caller steps", "Pool"), ("SB3 Dummy", "SB3 Subproc")
    assert list(table) == [*ours, *sb3s]
    rates = {name: float(row["steps/s"].replace(",", "")) for name, row in table.items()}
    best = max(sb3s, key=rates.__getitem__)
    for name, row in table.items():
        to_best = float(row["of SB3's best"])
        assert to_best == pytest.approx(rates[name] / rates[best], abs=0.006)
        assert float(row["CPU us a step"]) > 0
        assert float(row["return"]) > 8  # CartPole cannot fall sooner


@pytest.mark.long
def test_options_of_the_trainer_are_compared_with_its_defaults():
    options = ["float32", "bfloat16", "threads=2"]
    small = ["--device", "cpu", "--rounds", "1", "--rollouts", "1"]
    (table,) = rows("options.py", "--only", "cartpole", "--options", *options, *small).values()
    assert list(table) == options
    rates = {name: float(row["steps/s"].replace(",", "")) for name, row in table.items()}
    for name, row in table.items():
        assert float(row["ratio"]) == pytest.approx(rates[name] / rates["float32"], abs=0.006)
        assert float(row["return"]) > 8  # CartPole cannot fall sooner


@pytest.mark.long
def test_curves_are_drawn_of_each_seed(tmp_path):
    drawn = tmp_path / "ocean.svg"
    script = [sys.executable, str(BENCHMARKS / "curves.py"), "ocean", "--tasks", "bandit"]
    sizes = ["--seeds", "1", "2", "--runs", str(tmp_path), "--out", str(drawn)]
    subprocess.run([*script, *sizes], check=True, capture_output=True, timeout=240)
    text = drawn.read_text()
    assert all(name in text for name in ("bandit", "seed 1", "seed 2"))


@pytest.mark.long
@pytest.mark.parametrize(
    ("task", "times"), [("CartPole-v1", 2), ("Pendulum-v1", 1), ("Empty-8x8-v0", 1)]
)
def test_defaults_are_compared_and_what_was_trained_is_kept(task, times, tmp_path):
    command = [sys.executable, str(BENCHMARKS / "defaults.py"), "--libraries", "pufferlib", "sb3"]
    command += ["--tasks", task, "--seeds", "1", "--timesteps", "4096"]
    command += ["--results", str(tmp_path / "results.jsonl")]
    shown = [
        subprocess.run(command, capture_output=True, text=True, timeout=240, check=True).stdout
        for _ in range(times)
    ]
    assert len(set(shown)) == 1
    lines = (tmp_path / "results.jsonl").read_text().splitlines()
    results = {result["library"]: result for result in map(json.loads, lines)}
    assert len(lines) == len(results) == 2
    rows = [line.split(" | ") for line in shown[0].splitlines()[2:]]
    libraries = {"**pufferlib**": "pufferlib", "SB3": "sb3"}
    assert [row[2] for row in rows] == [*libraries]
    for row in rows:
        returns = results[libraries[row[2]]]["sampled"]
        assert len(returns) == len(results[libraries[row[2]]]["greedy"]) == 32
        assert row[5].split()[0] == f"{sum(returns) / 32:.2f}"


@pytest.mark.long
def test_presets_are_compared_with_published_scores_and_runs_are_kept(tmp_path):
    script = [sys.executable, str(BENCHMARKS / "standards.py"), "Pendulum-v1", "--seeds", "1", "2"]
    script += ["--timesteps", "2048", "--episodes", "4", "--runs", str(tmp_path)]
    shown = []
    for record in ("first.json", "second.json"):
        command = [*script, "--record", str(tmp_path / record)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=True)
        shown.append([line.split(" | ") for line in done.stdout.splitlines()[2:]])
    assert shown[0] == shown[1]
    assert [row[:3] for row in shown[0]] == [
        ["| `Pendulum-v1`", "sampled", ""],
        ["| `Pendulum-v1`", "greedy", "-172 (RL Zoo, 100,000)"],
    ]
    for actions, row in zip(("sampled", "greedy"), shown[0], strict=True):
        for seed, cell in enumerate(row[4:6], 1):
            result = json.loads((tmp_path / "Pendulum-v1" / f"seed {seed}/result.json").read_text())
            assert result["steps"] == 2048
            mean, low, high = result[actions]
            assert -3260 < low <= mean <= high < 0  # 200 steps cost at most 16.3 each
            assert cell == f"{mean:.0f} [{low:.0f}, {high:.0f}]"
    for other, advice in (
        (["--timesteps", "4096"], "was trained with other settings. Remove it."),
        (["--timesteps", "2048", "--episodes", "5"], "result.json is of 4 episodes. Remove it."),
    ):
        done = subprocess.run([*script, *other], capture_output=True, text=True, timeout=240)
        assert done.returncode == 1
        assert done.stdout.count(advice) == 2
    (table,) = json.loads((tmp_path / "second.json").read_text())["tables"]
    assert [sorted(row["seeds"]) for row in table["rows"]] == [["1", "2"]] * 2
