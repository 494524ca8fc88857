"""A killed run can be resumed, and with `exact_resume` equals the run that was not killed."""

import json
import random
import signal
import subprocess
import sys
import time

import pytest
import torch

from pufferlib.training import checkpoint

UPDATES = 40
# An update is 128 timesteps.
SMALL = ["--vec.num-envs", "2", "--env.kwargs.num-agents", "8", "--train.horizon", "8"]
SMALL += ["--train.total-timesteps", str(128 * UPDATES), "--train.device", "cpu"]
SMALL += ["--train.checkpoint-interval", "2", "--train.threads", "1"]
BACKENDS = {
    "serial": ["--vec.backend", "Serial"],
    "workers": ["--vec.backend", "Multiprocessing", "--vec.num-workers", "2"],
}
EXACT = "--train.exact-resume"
SCALED = ["--policy.memory", "lstm", "--policy.normalize-observations", "--train.normalize-rewards"]
SCALED += ["--env.kwargs.horizon", "5"]  # before the checkpoint after next cuts episodes off
KINDS = {"plain": ["squared"], "scaled": ["continuous", *SCALED]}


# The command line, where the update in the middle begins once there is a file.
GATED = f"""
import sys, time
from pathlib import Path
from pufferlib.cli.main import main
from pufferlib.training.trainer import Trainer

update, gate = Trainer.update, Path(sys.argv.pop())

def update_later(self, rollout):
    while self.updates == {UPDATES // 2} and not gate.exists():
        time.sleep(0.01)
    return update(self, rollout)

Trainer.update = update_later
sys.exit(main(sys.argv[1:]))
"""


def killed(run, arguments, number, after, wait_s):
    """Begin a run and end it by a signal, some time after so many updates."""
    gate = run.parent / "gate"
    command = [sys.executable, "-c", GATED, "train", *arguments, "--run", str(run), str(gate)]
    process = subprocess.Popen(command)
    try:
        metrics, deadline_s = run / "metrics.jsonl", time.monotonic() + 200
        while not (metrics.is_file() and metrics.read_bytes().count(b"\n") >= after):
            assert process.poll() is None
            assert time.monotonic() < deadline_s
            time.sleep(0.002)
        time.sleep(wait_s)
    finally:
        process.send_signal(number)
        gate.touch()
        process.wait()
    return process.returncode


def train(arguments):
    command = [sys.executable, "-m", "pufferlib.cli", "train", *arguments]
    subprocess.run(command, check=True, timeout=240)


def updates(run):
    return [
        json.loads(line)["updates"] for line in (run / "metrics.jsonl").read_text().splitlines()
    ]


def weights(run):
    state = checkpoint.load(run / "checkpoint.pt")
    assert state["updates"] == UPDATES
    return torch.cat([tensor.flatten() for tensor in state["policy"].values()])


def last_episode_metrics(run):
    last = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
    return {name: value for name, value in last.items() if name.startswith("episode/")}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """Return a function that returns the folder of a run that was not killed, in a new process.

    What other tests loaded into this process changes the last bits of what torch computes.
    """
    folder = tmp_path_factory.mktemp("runs")

    def of(kind):
        run = folder / kind
        if not run.exists():
            train([*KINDS[kind], *SMALL, *BACKENDS["serial"], EXACT, "--run", str(run)])
        return run

    return of


@pytest.mark.long
@pytest.mark.timeout(600)  # it starts up to three trainings
@pytest.mark.parametrize(
    ("kind", "backend", "number"),
    [("plain", "serial", signal.SIGTERM), ("scaled", "workers", signal.SIGKILL)],
)
def test_a_run_killed_at_any_moment_and_resumed_exactly_equals_one_that_was_not(
    tmp_path, uninterrupted, kind, backend, number
):
    moment = random.SystemRandom()  # the outcome is the same whatever the moment
    after, wait_s = moment.randrange(0, UPDATES // 4), moment.uniform(0, 0.05)
    run, arguments = tmp_path / "run", [*KINDS[kind], *SMALL, *BACKENDS[backend], EXACT]
    print(f"{number.name} {wait_s} s after update {after}")
    returned = killed(run, arguments, number, after, wait_s)
    assert returned in (-signal.SIGKILL, 130)
    assert checkpoint.load(run / "checkpoint.pt")["updates"] % 2 == 0
    train([KINDS[kind][0], "--resume", str(run)])
    assert updates(run) == list(range(1, UPDATES + 1))
    whole = uninterrupted(kind)
    assert torch.equal(weights(run), weights(whole))
    assert last_episode_metrics(run) == last_episode_metrics(whole) != {}


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_run_killed_and_resumed_continues_in_other_episodes(tmp_path, uninterrupted):
    run, arguments = tmp_path / "run", ["squared", *SMALL, *BACKENDS["serial"]]
    assert killed(run, arguments, signal.SIGKILL, 7, 0) == -signal.SIGKILL
    train(["squared", "--resume", str(run)])
    assert updates(run) == list(range(1, UPDATES + 1))
    assert not torch.equal(weights(run), weights(uninterrupted("plain")))
