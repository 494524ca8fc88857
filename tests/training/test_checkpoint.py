"""Checkpoints are complete or absent, and refused if they do not match."""

import enum
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from pufferlib import vector
from pufferlib.exceptions import CheckpointError
from pufferlib.models import Default, LSTMWrapper, NormalizedObservations
from pufferlib.ppo import TrainConfig, Trainer
from pufferlib.registry.ocean import env_creator
from pufferlib.training import checkpoint


def test_a_saved_checkpoint_loads_unchanged(tmp_path):
    path = tmp_path / "deep" / "checkpoint.pt"
    state = {"policy": nn.Linear(2, 3).state_dict(), "timesteps": 7}
    checkpoint.save(path, state)
    loaded = checkpoint.load(path)
    assert loaded["timesteps"] == 7
    assert torch.equal(loaded["policy"]["weight"], state["policy"]["weight"])
    assert os.listdir(path.parent) == ["checkpoint.pt"]


def test_a_failed_save_keeps_the_previous_checkpoint_and_leaves_no_file(tmp_path):
    path = tmp_path / "checkpoint.pt"
    checkpoint.save(path, {"timesteps": 1})
    with pytest.raises(CheckpointError, match="cannot be loaded from a checkpoint"):
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


class Kind(enum.StrEnum):
    WON = "won"


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"a": [1, Kind.WON]}, r"at \['a'\]\[1\], of type .*\.Kind"),
        ({np.str_("b"): 1}, r"str_\('b'\)\], a key, of type numpy\.str_"),
        ({"a": {np.int64(3): 1}}, r"\['a'\]\[np.int64\(3\)\], a key, of type numpy\.int64"),
        ({"a": (Path("b"),)}, r"at \['a'\]\[0\], of type pathlib"),
    ],
    ids=["enum", "text", "integer", "path"],
)
def test_what_could_not_be_loaded_is_refused_before_the_old_file_is_replaced(
    tmp_path, value, place
):
    path = tmp_path / "checkpoint.pt"
    checkpoint.save(path, {"policy": 1})
    with pytest.raises(CheckpointError, match=place):
        checkpoint.save(path, value)
    assert checkpoint.load(path)["policy"] == 1


def test_what_the_state_of_a_trainer_holds_can_be_loaded(tmp_path):
    state = {"flag": True, "none": None, "nested": {1: [(2.5, "x")]}, "tensor": torch.ones(2)}
    checkpoint.save(tmp_path / "checkpoint.pt", state)
    loaded = checkpoint.load(tmp_path / "checkpoint.pt")
    assert torch.equal(loaded.pop("tensor"), state.pop("tensor"))
    assert {key: loaded[key] for key in state} == state


class Evil:
    """Would run code when unpickled."""

    def __reduce__(self):
        return (os.mkdir, ("evil-was-here",))


def test_loading_a_checkpoint_runs_no_code_from_it(tmp_path, monkeypatch):
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
    settings = {"horizon": 16, "minibatches": 2, "update_epochs": 4, **settings}
    settings = {"total_timesteps": 64 * 6, **settings}
    config = TrainConfig(device=device, threads=1, normalize_rewards=True, **settings)
    return Trainer(config, vecenv, policy)


ADAPTIVE = {"kl_adaptive": 1e-5, "learning_rate": 1e-3, "normalize_returns": True}


@pytest.mark.parametrize("more", [{}, ADAPTIVE], ids=["annealed", "adaptive"])
@pytest.mark.parametrize("is_recurrent", [False, True], ids=["", "recurrent"])
def test_an_exact_resume_equals_uninterrupted_training(tmp_path, is_recurrent, more):
    settings = {"exact_resume": True, "checkpoint_interval": 3, "anneal_entropy": True, **more}
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
    for name in set(one["algorithm"]) - {"name", "optimizer"}:
        assert one["algorithm"][name] == other["algorithm"][name]
    for name in ("policy", "reward_scale", "episodes"):
        assert one[name].keys() == other[name].keys()
        for key, value in one[name].items():
            assert torch.equal(torch.as_tensor(value), torch.as_tensor(other[name][key])), key


GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=GPU)])
def test_a_checkpoint_continues_the_random_stream_of_actions(tmp_path, device):
    def draw(trainer):
        with trainer._random.active():
            return torch.rand(8, device=device)

    first = trainer_of(device=device)
    first.step()
    first.save(tmp_path / "checkpoint.pt")
    second = trainer_of(device=device)
    opening = draw(second)
    second.load(tmp_path / "checkpoint.pt")
    drawn = draw(second)
    assert torch.equal(drawn, draw(first))
    assert not torch.equal(drawn, opening)


def test_training_does_not_change_torchs_generator_and_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        state = torch.get_rng_state()
        trainer = trainer_of()
        torch.set_rng_state(state)  # drawing the first weights has moved it
        trainer.step()
        assert torch.equal(torch.get_rng_state(), state)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_making_a_trainer_draws_nothing_from_torchs_generator():
    vecenv = vector.make(env_creator("continuous"), env_kwargs={"num_agents": 4})
    policy = Default(vecenv)
    state = torch.get_rng_state()
    Trainer(TrainConfig(horizon=8), vecenv, policy)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_checkpoint_of_format_2_is_resumed(tmp_path):
    # Format 2 had the optimizer at the top, and no name of an algorithm.
    first = trainer_of()
    first.step()
    state = first.state_dict()
    old = {**state, "optimizer": state["algorithm"]["optimizer"], "format": 2}
    del old["algorithm"]
    torch.save(old, tmp_path / "checkpoint.pt")
    second = trainer_of()
    second.load(tmp_path / "checkpoint.pt")
    steps = {part["step"].item() for part in second.algorithm.optimizer.state.values()}
    assert steps == {8}  # four epochs of two minibatches
    assert second.updates == 1


def test_the_checkpoint_of_another_algorithm_is_refused(tmp_path):
    trainer = trainer_of()
    state = trainer.state_dict()
    state["algorithm"]["name"] = "dreamer"
    checkpoint.save(tmp_path / "checkpoint.pt", state)
    with pytest.raises(CheckpointError, match=r"trained by the algorithm 'dreamer'.*uses 'ppo'"):
        trainer.load(tmp_path / "checkpoint.pt")


@GPU
@pytest.mark.parametrize(("here", "there"), [("cpu", "cuda"), ("cuda", "cpu")])
def test_a_checkpoint_resumes_on_another_kind_of_device(tmp_path, here, there):
    first, second = trainer_of(device=here), trainer_of(device=there)
    first.step()
    first.save(tmp_path / "checkpoint.pt")
    second.load(tmp_path / "checkpoint.pt")
    assert second.step()["updates"] == 2
