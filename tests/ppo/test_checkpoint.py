"""Checkpoints are whole or not there, and never of something else."""

import os
import pickle

import pytest
import torch
from torch import nn

from pufferlib.exceptions import CheckpointError
from pufferlib.ppo import checkpoint


def test_what_is_saved_is_loaded(tmp_path):
    path = tmp_path / "deep" / "checkpoint.pt"
    state = {"policy": nn.Linear(2, 3).state_dict(), "timesteps": 7}
    checkpoint.save(path, state)
    loaded = checkpoint.load(path)
    assert loaded["timesteps"] == 7
    assert torch.equal(loaded["policy"]["weight"], state["policy"]["weight"])
    assert os.listdir(path.parent) == ["checkpoint.pt"]


def test_a_failed_save_leaves_the_earlier_checkpoint_and_no_litter(tmp_path):
    path = tmp_path / "checkpoint.pt"
    checkpoint.save(path, {"timesteps": 1})
    with pytest.raises((AttributeError, pickle.PicklingError), match="pickle"):
        checkpoint.save(path, {"timesteps": 2, "unpicklable": lambda: None})
    assert checkpoint.load(path)["timesteps"] == 1
    assert os.listdir(tmp_path) == ["checkpoint.pt"]


def test_a_checkpoint_of_another_architecture_is_refused_with_the_first_difference(tmp_path):
    path = tmp_path / "checkpoint.pt"
    checkpoint.save(path, {"policy": nn.Linear(2, 3).state_dict()})
    with pytest.raises(CheckpointError, match=r"weight is \(3, 2\) there, \(5, 2\) in this policy"):
        checkpoint.load_policy(nn.Linear(2, 5), checkpoint.load(path), path)
    with pytest.raises(CheckpointError, match=r"another architecture: 0.weight is nothing there"):
        checkpoint.load_policy(nn.Sequential(nn.Linear(2, 3)), checkpoint.load(path), path)


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match=r"file/checkpoint\.pt could not be written: "):
        checkpoint.save(tmp_path / "file" / "checkpoint.pt", {})


def test_a_missing_damaged_or_foreign_file_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="There is no checkpoint"):
        checkpoint.load(tmp_path / "none.pt")
    damaged = tmp_path / "damaged.pt"
    damaged.write_bytes(b"not a checkpoint")
    with pytest.raises(CheckpointError, match="cannot be read"):
        checkpoint.load(damaged)
    foreign = tmp_path / "foreign.pt"
    torch.save({"format": 99}, foreign)
    with pytest.raises(
        CheckpointError, match=r"has checkpoint format 99.*version that wrote it\.$"
    ):
        checkpoint.load(foreign)
    torch.save({"format": 99, "version": "7.8.9"}, foreign)
    with pytest.raises(CheckpointError, match=r"the version that wrote it: 7\.8\.9\.$"):
        checkpoint.load(foreign)


class Evil:
    """Would run code when unpickled."""

    def __reduce__(self):
        return (os.mkdir, ("evil-was-here",))


def test_loading_runs_nothing_that_a_checkpoint_holds(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"format": 2, "policy": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(CheckpointError, match="cannot be read"):
        checkpoint.load(tmp_path / "evil.pt")
    assert not (tmp_path / "evil-was-here").exists()
