import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import sweep_soak
from optuna.trial import TrialState

from pufferlib.runs import Run
from pufferlib.sweep.confirm import confirmed
from pufferlib.sweep.front import to_confirm
from pufferlib.sweep.journal import JOURNAL, read_journal
from pufferlib.sweep.trial_folder import TrialResult
from pufferlib.training.loggers import read_metrics


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("trials", "kills"),
    [
        pytest.param(6, 4, marks=pytest.mark.long),
        pytest.param(50, 10, marks=[pytest.mark.slow, pytest.mark.soak]),
    ],
)
def test_no_trial_is_lost_or_run_twice_whatever_is_killed(trials, kills, tmp_path):
    folder = tmp_path / "sweep"
    script = Path(sweep_soak.__file__)
    seed = os.environ.get("PUFFERLIB_TEST_SEED", "1")
    command = [sys.executable, str(script), str(folder), str(trials), str(kills), seed]
    result = subprocess.run(command, capture_output=True, text=True, timeout=1100)
    assert result.returncode == 0, result.stderr
    *killed, last = result.stdout.splitlines()
    printed = (tmp_path / "sweep.txt").read_text()
    assert json.loads(last) == {"status": 0, "left": 0}, printed + result.stderr
    assert len(killed) >= kills // 2

    assert all(json.loads(line) for line in (folder / JOURNAL).read_text().splitlines())
    study = read_journal(folder)
    assert [trial.number for trial in study.trials] == list(range(trials))
    for trial in study.trials:
        run = folder / trial.user_attrs["run"]
        if trial.state == TrialState.FAIL:  # itself killed
            assert trial.user_attrs["state_reason"] == "killed by signal 9"
            continue
        assert trial.state == TrialState.COMPLETE
        assert trial.values == [TrialResult.read(run).score, TrialResult.read(run).cpu_s]
        updates = [metrics["updates"] for metrics in read_metrics(run)]
        assert updates == list(range(1, len(updates) + 1))  # each update once, resumed or not
        is_whole = updates and (
            read_metrics(run)[-1]["timesteps"] >= Run.open(run).config.train.total_timesteps
        )
        assert is_whole or trial.user_attrs["stopped_early"]
        assert printed.count(f"Trial {trial.number}: score") + (trial.number == 0) <= 1
    assert len(list((folder / "trials").iterdir())) == trials
    failed = [trial for trial in study.trials if trial.state == TrialState.FAIL]
    assert len(failed) <= sum("a trial" in line for line in killed)
    assert set(confirmed(study)) == {trial.number for trial in to_confirm(study.trials, 5)}
