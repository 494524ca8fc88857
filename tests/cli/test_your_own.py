"""Environments and policies outside the repository, in every command: train, eval, test, bench."""

import json
import subprocess
import sys

import pytest

from pufferlib.cli.main import main

FILE = '''
import gymnasium
import numpy as np
from torch import nn

from pufferlib.models import ActionHeads, FlatFeatures


class Corridor(gymnasium.Env):
    """Walk right to the end of a corridor."""

    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, length=6):
        self.length = length
        self.observation_space = gymnasium.spaces.Box(0, length, (1,), np.float32)

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.steps = 0, 0
        return self.seen(), {}

    def step(self, action):
        self.place = max(0, self.place + (1 if action else -1))
        self.steps += 1
        is_there = self.place == self.length
        return self.seen(), float(is_there), is_there, self.steps == 20, {}

    def seen(self):
        return np.array([self.place], np.float32)


class MyPolicy(nn.Module):
    def __init__(self, env, hidden_size=32, slope=1.0):
        super().__init__()
        self.hidden_size, self.slope = hidden_size, slope
        self.features = FlatFeatures(env)
        self.encoder = nn.Linear(self.features.size, hidden_size)
        self.actor, self.critic = ActionHeads(env, hidden_size), nn.Linear(hidden_size, 1)

    def encode_observations(self, observations):
        return (self.slope * self.encoder(self.features(observations))).tanh(), None

    def decode_actions(self, hidden, lookup):
        return self.actor(hidden), self.critic(hidden)

    def forward(self, observations):
        return self.decode_actions(*self.encode_observations(observations))
'''
TRAIN = ["--vec.backend", "Serial", "--vec.num-envs", "4", "--train.horizon", "16"]
TRAIN += ["--train.device", "cpu", "--policy.hidden-size", "16", "--policy.kwargs.slope", "0.5"]
TRAIN += ["--policy.name", "my_own.py:MyPolicy", "--policy.memory", "gru"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a directory outside the repository with a file, and work there."""
    (tmp_path / "my_own.py").write_text(FILE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


@pytest.fixture
def puffer(capfd):
    """Return a function that runs a command and returns what it prints, errors or else output."""

    def run(*arguments, status=0):
        capfd.readouterr()
        found = main(arguments)
        printed = capfd.readouterr()
        assert found == status, printed.err
        return printed.err if status else printed.out

    return run


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("my_own.py:Corridor", "gymnasium"),
        ("gymnasium:CartPole-v1", "gymnasium"),
        ("pettingzoo:mpe2.simple_spread_v3", "mpe2"),
    ],
)
def test_an_environment_and_a_policy_of_your_own_in_every_command(folder, puffer, name, package):
    pytest.importorskip(package)
    puffer("train", name, *TRAIN, "--run", "mine", "--train.total-timesteps", "512")
    config = json.loads((folder / "mine" / "config.json").read_text())
    assert config["policy"]["name"] == f"{folder}/my_own.py:MyPolicy"
    assert (config["policy"]["memory"], config["policy"]["kwargs"]) == ("gru", {"slope": 0.5})
    shown = puffer("eval", name, "--checkpoint", "mine", "--episodes", "4")
    assert "random" in shown
    assert "greedy" in shown
    assert "Warning" not in shown
    puffer("train", name, "--resume", "mine", "--train.total-timesteps", "1024")
    metrics = (folder / "mine" / "metrics.jsonl").read_text().splitlines()
    assert json.loads(metrics[-1])["timesteps"] >= 1024
    assert "steps/s" in puffer("bench", name, "--rounds", "1", "--seconds", "0.02")


@pytest.mark.long
def test_an_environment_of_your_own_passes_the_smoke_test(folder, puffer):
    policy = ["--policy.name", "my_own.py:MyPolicy", "--policy.kwargs.slope", "0.5"]
    shown = puffer("test", "my_own.py:Corridor", "--env.kwargs.length", "3", *policy)
    assert "Multiprocessing, spawn" in shown
    assert "passed" in shown


@pytest.mark.long
def test_a_new_process_trains_in_forked_workers(folder):
    command = [sys.executable, "-m", "pufferlib.cli", "train", "my_own.py:Corridor", *TRAIN]
    parallel = ["--vec.backend", "Multiprocessing", "--vec.num-workers", "2"]
    result = subprocess.run(
        [*command, *parallel, "--train.total-timesteps", "128"],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert result.returncode == 0, result.stderr
    assert "Saved runs/my_own-Corridor-" in result.stdout


def test_a_run_is_found_from_another_directory_and_its_file_may_change(folder, puffer, monkeypatch):
    name, whole = "my_own.py:Corridor", f"{folder}/my_own.py:Corridor"
    puffer("train", name, *TRAIN, "--train.total-timesteps", "128")
    (run,) = (folder / "runs").iterdir()
    assert run.name.startswith("my_own-Corridor-")
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    assert "greedy" in puffer("eval", whole, "--checkpoint", str(run), "--episodes", "4")
    error = puffer("eval", name, "--checkpoint", str(run), status=2)
    assert f"There is no file {folder}/elsewhere/my_own.py" in error
    assert f"was made in the directory {folder} with the environment {whole}" in error
    assert len(error.splitlines()) == 1
    monkeypatch.chdir(folder)
    with (folder / "my_own.py").open("a") as file:
        file.write("# changed\n")
    warning = f"Warning: {folder}/my_own.py has changed since runs/{run.name} was trained"
    shown = puffer("eval", name, "--episodes", "4")
    assert f"Checkpoint: runs/{run.name}/checkpoint.pt" in shown
    assert "greedy" in shown.partition(warning)[2]
    assert warning in puffer("train", name, "--resume", "--train.total-timesteps", "256")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["my_own.py:Coridor"], "has no attribute 'Coridor'. Did you mean 'Corridor'"),
        (["my_own.py:Corridor", "--env.kwargs.lenth", "3"], "Did you mean 'length'"),
        (["gymnasium:CartPole-v99"], "Gymnasium has no environment 'CartPole-v99'"),
        (["gymnasium:CartPole-v1", "--policy.name", "my_own.py:MyPolcy"], "'MyPolicy'"),
        (
            ["my_own.py:Corridor", "--policy.name", "my_own.py:MyPolicy", "--policy.kwargs.slop=1"],
            "policy.kwargs.slop is not an argument of",
        ),
    ],
)
def test_mistakes_in_the_names_of_your_own_are_one_line(folder, puffer, arguments, expected):
    error = puffer("train", *arguments, status=2)
    assert expected in error
    assert len(error.splitlines()) == 1
    assert list(folder.glob("runs/*")) == []
