import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sweep_environments

from pufferlib.sweep.journal import read_journal
from pufferlib.sweep.trial_folder import TrialResult
from pufferlib.training.loggers import read_metrics

pytestmark = pytest.mark.long

ENV = f"{Path(sweep_environments.__file__)}:make_env"
COMMAND = [sys.executable, "-m", "pufferlib.cli", "sweep", ENV, "--env.kwargs.at=1000000000"]
COMMAND += ["--vec.backend=Serial", "--vec.num-envs=2", "--train.total-timesteps=12000"]
COMMAND += ["--train.update-epochs=1", "--train.checkpoint-interval=5", "--sweep.trials=1"]
COMMAND += ["--sweep.space.train.horizon=power2 32 128", "--sweep.confirm=0", "--run=s"]


def begin(folder):
    return subprocess.Popen(
        COMMAND, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_until_it_trains(trial, least):
    for _ in range(1200):
        if len(read_metrics(trial)) > least:
            return
        time.sleep(0.05)
    raise AssertionError("it does not train")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_sweep_that_is_ended_leaves_nothing_and_continues(number, tmp_path):
    trial = tmp_path / "s/trials/0000"
    sweep = begin(tmp_path)
    wait_until_it_trains(trial, 12)
    pid = int((trial / ".lock").read_text())
    sweep.send_signal(number)
    out, err = sweep.communicate(timeout=60)
    assert sweep.returncode == {signal.SIGINT: 130, signal.SIGTERM: 130}.get(number, -9), err
    if number != signal.SIGKILL:
        assert "The same command continues the sweep." in out
        assert "Saved" in (trial / "log.txt").read_text()
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    logged = len(read_metrics(trial))

    out, err = begin(tmp_path).communicate(timeout=120)
    assert "Trial 0 (the preset): score" in out, err
    updates = [metrics["updates"] for metrics in read_metrics(trial)]
    assert updates == list(range(1, len(updates) + 1))
    assert len(updates) > logged
    resumed = json.loads((trial / "run.json").read_text())["resumed"]
    assert len(resumed) == 1
    (finished,) = read_journal(tmp_path / "s").trials
    spent = [cpu_s for cpu_s, _ in finished.user_attrs["curve"]]
    assert spent == sorted(spent)  # it continues at the resumption
    assert spent[-1] <= finished.user_attrs["cpu_s"]
    assert finished.values == [TrialResult.read(trial).score, TrialResult.read(trial).cpu_s]
