"""The provenance of a run: command, commits, versions, machine, and where its environment is."""

import hashlib
import json
import os
import platform
import shlex
import subprocess
import sys
from importlib.metadata import version

import gymnasium
import pytest
import torch

from pufferlib import registry
from pufferlib.exceptions import CheckpointError
from pufferlib.runs import Run, provenance
from pufferlib.runs.provenance import change_of_environment

SMALL = {
    "vec.backend": "Serial",
    "vec.num_envs": 1,
    "env.kwargs.num_agents": 16,
    "train.horizon": 8,
    "train.device": "cpu",
    "train.total_timesteps": 256,
}
GAME = """
import gymnasium
import numpy as np

class Game(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(0, 1, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action):
        return self.observation_space.sample(), float(action), True, False, {}
"""


def git(folder, *arguments):
    command = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b"]
    result = subprocess.run(
        [*command, *arguments], capture_output=True, text=True, check=True, timeout=240
    )
    return result.stdout.strip()


def written(folder):
    return json.loads((folder / "run.json").read_text())


def test_the_commit_is_that_of_the_directory_and_dirty_once_a_file_changed(tmp_path):
    assert provenance.commit(tmp_path) is None
    git(tmp_path, "init")
    (tmp_path / "file").write_text("one")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-m", "first")
    expected = git(tmp_path, "log", "-1", "--format=%H")
    assert provenance.commit(tmp_path) == {"commit": expected, "is_dirty": False}
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "untracked").touch()
    assert provenance.commit(tmp_path)["is_dirty"] is False
    (tmp_path / "file").write_text("two")
    assert provenance.commit(tmp_path) == {"commit": expected, "is_dirty": True}


def test_a_run_records_how_it_was_made_and_each_resume_adds_to_it(tmp_path, monkeypatch):
    folder = tmp_path / "run"
    Run.configure("squared", {**SMALL, "run": folder}).train()
    first = written(folder)
    assert first["versions"]["python"] == platform.python_version()
    for name, module in (("torch", torch), ("gymnasium", gymnasium)):
        assert first["versions"][name] == module.__version__
    assert shlex.join(first["command"]) == shlex.join(sys.orig_argv)
    assert first["host"] == platform.node()
    assert 1 <= first["cores"] <= os.cpu_count()
    assert set(first["git"]) == {"directory", "pufferlib"}
    monkeypatch.chdir(tmp_path)
    Run.open(folder, {"train.total_timesteps": 512}).train()
    second = written(folder)
    assert second.pop("resumed")[0]["directory"] == str(tmp_path)
    assert second == first


def test_the_version_of_the_family_is_recorded():
    pytest.importorskip("nle")
    assert provenance.facts(registry.resolve("nethack"))["versions"]["nle"] == version("nle")


def test_the_origin_of_the_environment_is_recorded(tmp_path):
    path = tmp_path / "origin_game.py"
    path.write_text(GAME)
    facts = provenance.facts(registry.resolve(f"{path}:Game"))["environment"]
    assert facts == {
        "kind": "file",
        "name": f"{path}:Game",
        "attribute": "Game",
        "file": str(path),
        "sha256": hashlib.sha256(GAME.encode()).hexdigest(),
    }
    facts = provenance.facts(registry.resolve("gymnasium:CartPole-v1"))["environment"]
    assert (facts["kind"], facts["attribute"]) == ("gymnasium", "CartPole-v1")
    assert (facts["distribution"], facts["version"]) == ("gymnasium", gymnasium.__version__)
    facts = provenance.facts(registry.resolve("squared"))["environment"]
    assert (facts["kind"], facts["family"], facts["attribute"]) == ("family", "ocean", "squared")
    json.dumps(facts)


def test_an_environment_file_that_changed_is_reported(tmp_path):
    path, folder = tmp_path / "changing_game.py", tmp_path / "run"
    path.write_text(GAME)
    small = {name: value for name, value in SMALL.items() if name != "env.kwargs.num_agents"}
    run = Run.configure(f"{path}:Game", {**small, "train.total_timesteps": 16, "run": folder})
    run.train()
    assert change_of_environment(folder, run.source) is None
    path.write_text(GAME + "\n# The reward is another.\n")
    assert change_of_environment(folder, run.source) == (
        f"Warning: {path} has changed since {folder} was trained; results may differ."
    )
    # Resumed with the changed file, the run is of that.
    Run.open(folder, {"train.total_timesteps": 32}).train()
    assert change_of_environment(folder, run.source) is None
    path.write_text(GAME)
    assert change_of_environment(folder, run.source) is not None


def test_runs_without_a_record_of_their_environment_are_not_reported(tmp_path):
    source = registry.resolve("squared")
    assert change_of_environment(tmp_path, source) is None
    (tmp_path / "run.json").write_text('{"id": "of an old version"}')
    assert change_of_environment(tmp_path, source) is None
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"run\.json cannot be read as the provenance"):
        change_of_environment(tmp_path, source)
