"""The scripts of benchmarks/ run from end to end and print every row."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


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


def test_emulation_compares_each_contender_with_the_first():
    tables = rows("emulation.py", "--rounds", "1")
    assert len(tables) == 6
    for table in tables.values():
        first, *others = table.values()
        assert (first["adds us"], first["ratio"]) == ("0.00", "1.000")
        assert others
        for row in others:
            assert float(row["us"]) / float(first["us"]) == pytest.approx(float(row["ratio"]), 0.02)


@pytest.mark.parametrize(("cell", "alternatives"), [("cartpole-2", 4), ("agents-16-8", 1)])
def test_vectorizers_are_compared_with_the_bound_and_the_best_alternative(cell, alternatives):
    (table,) = rows("vector.py", "--only", cell, "--rounds", "1", "--seconds", "0.05").values()
    assert list(table)[:2] == ["bound", "one bare"]
    assert len(table) == 6 + alternatives
    rates = {name: float(row["steps/s"].replace(",", "")) for name, row in table.items()}
    best = max(list(table)[6:], key=rates.__getitem__)
    for name, row in table.items():
        assert float(row["of the bound"]) == pytest.approx(rates[name] / rates["bound"], abs=0.006)
        to_best = float(row["of the best alternative"])
        assert to_best == pytest.approx(rates[name] / rates[best], abs=0.006)
        assert 0 < float(row["CPU s/s"]) < 1.1 * os.cpu_count()
        assert float(row["CPU a step"]) > 0


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
def test_native_games_are_compared_with_as_many_ordinary_ones():
    tables = rows("native.py", "--rounds", "1", "--num-envs", "2", "--steps", "2")
    assert len(tables) == 6
    for title, table in tables.items():
        others = ["native, library not shared"] if "NetHack" in title else []
        assert list(table) == ["one by one", "native", *others]
        assert (table["one by one"]["ratio"], table["one by one"]["CPU time, ratio"]) == (
            "1.00",
            "1.00",
        )
        assert float(table["native"]["ratio"]) > 0


@pytest.mark.long
def test_trainers_are_compared_with_the_best_alternative():
    table = rows("training.py", "--only", "cartpole", "--rounds", "1", "--rollouts", "1")
    (table,) = table.values()
    assert list(table) == ["Serial", "Multiprocessing", "Pool", "SB3 Dummy", "SB3 Subproc"]
    rates = {name: float(row["steps/s"].replace(",", "")) for name, row in table.items()}
    best = max(list(table)[3:], key=rates.__getitem__)
    for name, row in table.items():
        to_best = float(row["of the best alternative"])
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
@pytest.mark.parametrize("task", ["CartPole-v1", "Pendulum-v1", "Empty-8x8-v0"])
def test_defaults_are_compared_and_what_was_trained_is_kept(task, tmp_path):
    command = [sys.executable, str(BENCHMARKS / "defaults.py"), "--libraries", "pufferlib", "sb3"]
    command += ["--tasks", task, "--seeds", "1", "--timesteps", "4096"]
    command += ["--results", str(tmp_path / "results.jsonl")]
    shown = [
        subprocess.run(command, capture_output=True, text=True, timeout=240, check=True).stdout
        for _ in range(2)
    ]
    assert shown[0] == shown[1]
    lines = (tmp_path / "results.jsonl").read_text().splitlines()
    results = {result["library"]: result for result in map(json.loads, lines)}
    assert len(lines) == len(results) == 2
    rows = [line.split(" | ") for line in shown[0].splitlines()[2:]]
    assert [row[2] for row in rows] == ["pufferlib", "sb3"]
    for row in rows:
        returns = results[row[2]]["sampled"]
        assert len(returns) == len(results[row[2]]["greedy"]) == 32
        assert row[5].split()[0] == f"{sum(returns) / 32:.2f}"
