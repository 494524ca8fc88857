import gc
import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest
import sweep_environments
from sweep_processes import ForkExecutor

from pufferlib.cli.main import main
from pufferlib.sweep import sweep
from pufferlib.sweep.journal import read_journal
from pufferlib.sweep.trial_folder import TrialResult
from pufferlib.training.loggers import read_metrics
from pufferlib.training.trainer import Trainer

pytestmark = pytest.mark.long

ENV = f"{Path(sweep_environments.__file__)}:make_env"
WORDS = ["sweep", ENV, "--env.kwargs.at=1000000000", "--sweep.jobs=1"]
WORDS += ["--vec.backend=Serial", "--vec.num-envs=2", "--train.total-timesteps=3000"]
WORDS += ["--train.update-epochs=1", "--train.checkpoint-interval=5", "--sweep.trials=1"]
WORDS += [
    "--sweep.space.train.horizon=power2 16 64",
    "--train.horizon=16",
    "--sweep.confirm=0",
    "--run=s",
]


def begin(folder):
    """Run the command in a fork of this process, which has loaded everything; return its id.

    Its trial goes beyond twenty updates once there is a file "go".
    """
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        os.chdir(folder)
        gc.collect()
        for number, name in ((1, "out.txt"), (2, "err.txt")):
            os.dup2(os.open(name, os.O_CREAT | os.O_WRONLY | os.O_APPEND), number)
        sys.stdout, sys.stderr = (os.fdopen(number, "w") for number in (1, 2))
        update = Trainer.update

        def update_later(self, rollout):
            while self.updates == 20 and not (folder / "go").exists():
                time.sleep(0.01)
            return update(self, rollout)

        Trainer.update = update_later
        sweep.LocalExecutor = lambda jobs, environment: ForkExecutor(jobs)
        status = main(WORDS)
        sys.stderr.flush()
    finally:
        os._exit(status)


def end(pid, folder):
    """Wait for the command; return its status, and what it has printed."""
    _, status = os.waitpid(pid, 0)
    out, err = ((folder / name).read_text() for name in ("out.txt", "err.txt"))
    return os.waitstatus_to_exitcode(status), out, err


def wait_until_it_trains(trial, least):
    end_s = time.monotonic() + 200
    while len(read_metrics(trial)) <= least:
        assert time.monotonic() < end_s, "it does not train"
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_sweep_that_is_ended_leaves_nothing_and_continues(number, tmp_path):
    trial = tmp_path / "s/trials/0000"
    pid = begin(tmp_path)
    wait_until_it_trains(trial, 8)
    child = int((trial / ".lock").read_text())
    os.kill(pid, number)
    (tmp_path / "go").touch()
    status, out, err = end(pid, tmp_path)
    assert status == {signal.SIGINT: 130, signal.SIGTERM: 130}.get(number, -9), err
    if number != signal.SIGKILL:
        assert "The same command continues the sweep." in out
        assert "Saved" in (trial / "log.txt").read_text()
        with pytest.raises(ProcessLookupError):
            os.kill(child, 0)
    logged = len(read_metrics(trial))

    status, out, err = end(begin(tmp_path), tmp_path)
    assert status == 0, err
    assert "Trial 0 (the preset): score" in out
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
