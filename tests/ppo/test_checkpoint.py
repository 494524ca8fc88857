"""Checkpoints are whole or not there, and never of something else."""

import os
import pickle

import pytest
import torch
from torch import nn

from pufferlib import vector
from pufferlib.exceptions import CheckpointError
from pufferlib.models import Default, LSTMWrapper, NormalizedObservations
from pufferlib.ppo import TrainConfig, Trainer, checkpoint
from pufferlib.registry.ocean import env_creator


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


def trainer_of(is_recurrent=False, device="cpu", **settings):
    """Return a trainer of an environment that truncates, with rewards and observations scaled."""
    vecenv = vector.make(env_creator("continuous"), env_kwargs={"num_agents": 4})
    torch.manual_seed(0)
    policy = NormalizedObservations(vecenv, Default(vecenv))
    if is_recurrent:
        policy = LSTMWrapper(vecenv, policy)
    settings = {"horizon": 16, "minibatches": 2, "total_timesteps": 64 * 6, **settings}
    config = TrainConfig(device=device, threads=1, normalize_rewards=True, **settings)
    return Trainer(config, vecenv, policy)


@pytest.mark.parametrize("is_recurrent", [False, True], ids=["", "recurrent"])
def test_a_trainer_that_goes_on_exactly_is_the_one_that_made_the_checkpoint(tmp_path, is_recurrent):
    settings = {"exact_resume": True, "checkpoint_interval": 3, "anneal_entropy": True}
    first = trainer_of(is_recurrent, **settings)
    for _ in range(3):
        first.step()
    first.save(tmp_path / "checkpoint.pt")
    while not first.is_done:
        first.step()
    second = trainer_of(is_recurrent, **settings)
    second.load(tmp_path / "checkpoint.pt")
    while not second.is_done:
        second.step()
    one, other = first.state_dict(), second.state_dict()
    assert one["updates"] == 6
    for name in ("policy", "reward_scale", "episodes"):
        assert one[name].keys() == other[name].keys()
        for key, value in one[name].items():
            assert torch.equal(torch.as_tensor(value), torch.as_tensor(other[name][key])), key


GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=GPU)])
def test_noise_goes_on_from_a_checkpoint_where_it_is_drawn(tmp_path, device):
    first = trainer_of(device=device)
    first.step()
    first.save(tmp_path / "checkpoint.pt")
    expected = torch.rand(8, device=device)
    second = trainer_of(device=device)
    opening = torch.rand(8, device=device)
    second.load(tmp_path / "checkpoint.pt")
    drawn = torch.rand(8, device=device)
    assert torch.equal(drawn, expected)
    assert not torch.equal(drawn, opening)


@GPU
def test_a_checkpoint_goes_on_on_another_kind_of_device(tmp_path):
    for here, there in (("cpu", "cuda"), ("cuda", "cpu")):
        first, second = trainer_of(device=here), trainer_of(device=there)
        first.step()
        first.save(tmp_path / "checkpoint.pt")
        second.load(tmp_path / "checkpoint.pt")
        assert second.step()["updates"] == 2
