"""optuna-dashboard, the real program, opens the journal of a sweep."""

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import closing

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

from pufferlib.sweep.samplers import make_sampler

pytest.importorskip("optuna_dashboard")


@pytest.fixture
def journal(tmp_path):
    path = str(tmp_path / "journal.log")
    backend = JournalFileBackend(path, lock_obj=JournalFileOpenLock(path))
    study = optuna.create_study(
        study_name="sweep",
        storage=JournalStorage(backend),
        sampler=make_sampler("tpe", 1),
        directions=["maximize", "minimize"],
    )
    study.set_user_attr("confirmed:0", {"scores": [0.5, 0.6]})
    for number in range(3):
        trial = study.ask()
        rate = trial.suggest_float("train.learning_rate", 1e-5, 1e-2, log=True)
        trial.set_user_attr("curve", [[1.0, 0.1], [2.0, rate]])
        if number == 2:
            trial.set_user_attr("state_reason", "diverged")
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            study.tell(trial, (rate, 2.0 + number))
    return path


@pytest.fixture
def port():
    """A port of this machine that no other process is given before a server listens there."""
    with closing(socket.socket()) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
        one.bind(("127.0.0.1", 0))
        yield one.getsockname()[1]


def answer(url, process, within_s=240):
    deadline_s = time.monotonic() + within_s
    while True:
        try:
            with urllib.request.urlopen(url, timeout=240) as response:
                return response.read().decode()
        except (urllib.error.URLError, ConnectionError):
            if time.monotonic() > deadline_s or process.poll() is not None:
                raise
            time.sleep(0.2)


@pytest.mark.long
def test_the_dashboard_shows_the_trials(journal, port):
    words = [journal, "--storage-class", "JournalFileStorage", "--port", str(port)]
    code = "from optuna_dashboard._cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        root = f"http://127.0.0.1:{port}"
        assert "Optuna Dashboard" in answer(f"{root}/dashboard", process)
        (study,) = json.loads(answer(f"{root}/api/studies", process))["study_summaries"]
        assert study["study_name"] == "sweep"
        detail = json.loads(answer(f"{root}/api/studies/{study['study_id']}?after=0", process))
        assert [trial["state"] for trial in detail["trials"]] == ["Complete", "Complete", "Fail"]
        assert [trial["values"][1] for trial in detail["trials"][:2]] == [2.0, 3.0]
        assert "diverged" in json.dumps(detail["trials"][2])
    finally:
        process.terminate()
        process.wait(timeout=240)
