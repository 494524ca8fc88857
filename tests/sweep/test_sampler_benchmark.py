"""The comparison of samplers measures fronts at equal cost, in imitated and in real sweeps."""

import importlib
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
from optuna.trial import TrialState, create_trial

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def samplers(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("samplers")


def test_the_area_of_the_front_follows_the_time_that_was_spent(samplers):
    # Over log cost from 0 to 4: 0.4 from 1 on is 1.2 of 4; then 0.4 from 1 to 2 and 0.9 from 2 on.
    found = [(0.5, math.e, 0.4), (0.2, math.e**3, 0.3), (1.0, math.e**2, 0.9)]
    fronts = [(0.0, 0), (10.0, 1), (20.0, 2), (30.0, 3)]
    areas = samplers.areas(found, fronts, 40.0, 0.0, (1.0, math.e**4))
    assert len(areas) == samplers.GRID + 1
    moments = [areas[round(share * samplers.GRID)] for share in (0, 0.2, 0.26, 0.6, 0.76, 1)]
    assert moments == pytest.approx([0, 0, 0.3, 0.3, 0.55, 0.55])


def test_imitated_training_costs_and_scores_more_the_longer_it_is(samplers):
    task = samplers.Task("easy", 1)
    short = task.run({**samplers.PRESET, "train.total_timesteps": 20_000}, 0)
    long = task.run(samplers.PRESET, 0)
    assert long.cost == pytest.approx(10 * short.cost)
    assert 0 < short.true_score < long.true_score < 1
    assert long.curve[-1] == (pytest.approx(long.cost), long.score)
    assert task.run(samplers.PRESET, 0) == long != task.run(samplers.PRESET, 1)


def test_sweeps_of_a_task_are_compared_up_to_the_time_that_all_have_used(
    samplers, tmp_path, capsys
):
    from pufferlib.sweep.journal import open_journal

    # Area above the least score, 1, up to cost e^2: 9 of tpe after 30 s, of random after 20 s.
    slow, quick = (10.0, math.e, 20.0), (10.0, math.e, 10.0)
    sweeps = {
        "tpe": [(1.0, 1.0, 10.0), slow, None],
        "random": [(1.0, 1.0, 10.0), quick, (1.0, math.e**2, 60.0)],
    }
    for name, rows in sweeps.items():
        folder = tmp_path / name
        folder.mkdir()
        facts = {"env": "CartPole-v1", "sweep": {"sampler": name}}
        (folder / "sweep.json").write_text(json.dumps(facts))
        study = open_journal(folder)
        for row in rows:
            state = TrialState.FAIL if row is None else TrialState.COMPLETE
            values, cpu_s = (None, 10.0) if row is None else (row[:2], row[2])
            attributes = {"cpu_s": cpu_s}
            study.add_trial(create_trial(state=state, values=values, user_attrs=attributes))
    task, found = samplers.read_sweeps([tmp_path / name for name in sweeps])
    tpe, random = list(samplers.rows(task, found))
    assert tpe == "| CartPole-v1 | tpe | 0.000 | 1.000 | 0.75 | nan |"
    assert random == "| CartPole-v1 | random | 1.000 | 1.000 | 0.50 | nan |"


@pytest.mark.long
def test_the_script_prints_a_row_for_each_sampler():
    result = subprocess.run(
        [sys.executable, str(BENCHMARKS / "samplers.py"), "easy", "--seeds", "2", "--trials", "3"],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert result.returncode == 0, result.stderr
    cells = [line.split(" | ") for line in result.stdout.splitlines()[2:]]
    assert [row[:2] for row in cells] == [["| easy", name] for name in ("tpe", "random")]
    assert all(0 < float(row[2]) <= float(row[3]) < 1 for row in cells)
    assert float(cells[0][4]) <= 1
