"""The trainer solves each of Ocean's tasks from its preset, as `puffer train` does.

Each run prints its score and CPU seconds; `pytest -rP` shows them.
LEARN_SEEDS=1,2,3 tries more seeds than the first, and LEARN_RECORD=FILE records the scores.
"""

import json
import os
import time

import pytest

from pufferlib.runs import Run
from pufferlib.runs.diagnosis import diagnose_folder

pytestmark = [pytest.mark.learn]

SEEDS = os.environ.get("LEARN_SEEDS", "1").split(",")
SLOW = ("squared", "memory", "password", "stochastic", "continuous", "spaces", "multiagent")
TASKS = ["bandit", *(pytest.param(task, marks=pytest.mark.slow) for task in SLOW)]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("task", TASKS)
def test_a_task_is_solved_from_its_preset(task, seed, tmp_path, capsys, keep):
    score, seconds = score_of(task, tmp_path, capsys, {"train.seed": seed})
    keep("ocean", {"task": task, "seeds": {seed: score}, "seconds": [seconds, seconds]})
    # Random policies score 0.53 in stochastic, 0.5 in multiagent, 0.25 or less in the others.
    assert score > 0.95
    assert diagnose_folder(tmp_path) == ([], {})


@pytest.mark.slow
def test_memory_is_solved_with_a_gru_too(tmp_path, capsys):
    assert score_of("memory", tmp_path, capsys, {"policy.memory": "gru"})[0] > 0.95


@pytest.mark.slow
def test_memory_is_not_solved_by_a_stateless_policy(tmp_path, capsys, keep):
    score, seconds = score_of("memory", tmp_path, capsys, {"policy.memory": "none"})
    row = {"task": "memory", "variant": "not recurrent", "seeds": {"1": score}}
    keep("ocean", {**row, "seconds": [seconds, seconds]})
    # 0.25 for any actions, with a standard deviation of 0.04 over the last hundred games.
    assert score < 0.5


@pytest.mark.slow
@pytest.mark.parametrize("gaussian", ["state-dependent", "squashed"])
def test_continuous_is_solved_with_other_gaussians_too(gaussian, tmp_path, capsys):
    assert score_of("continuous", tmp_path, capsys, {"policy.gaussian": gaussian})[0] > 0.95


def score_of(task, folder, capsys, settings):
    """Train; return the mean score of the last hundred games, and CPU seconds."""
    run = Run.configure(task, {**settings, "run": folder})
    began_s = time.process_time()
    run.train()
    seconds = time.process_time() - began_s
    capsys.readouterr()
    last = (folder / "metrics.jsonl").read_text().splitlines()[-1]
    score = json.loads(last)["episode/score"]
    print(f"{task} {settings}: {score:.3f}, {seconds:.1f} s")
    return score, seconds
