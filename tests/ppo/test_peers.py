"""Two processes that learn together take the step that one with all the rows would."""

import copy
import os
import subprocess
import sys

import pytest
import torch

from pufferlib import vector
from pufferlib.models import Default
from pufferlib.ppo import TrainConfig, Trainer
from pufferlib.registry.ocean import env_creator

CONFIG = TrainConfig(horizon=16, minibatches=1, update_epochs=2, threads=1, total_timesteps=10_000)
HALF = 4


def trainer_of(num_agents, config=CONFIG, peers=None):
    vecenv = vector.make(env_creator("squared"), env_kwargs={"num_agents": num_agents})
    torch.manual_seed(5)
    return Trainer(config, vecenv, Default(vecenv), peers)


def half_of(rollout, rank):
    """Return the rollout of half the rows."""
    half = copy.copy(rollout)
    rows = slice(rank * HALF, (rank + 1) * HALF)
    for name, value in vars(rollout).items():
        if isinstance(value, torch.Tensor) and value.dim() >= 2:
            setattr(half, name, value[:, rows])
    half.rows = HALF
    half.columns = torch.arange(HALF)
    return half


def weights_of(trainer):
    return torch.cat([weight.detach().flatten() for weight in trainer.policy.parameters()])


def learn_together(rank, folder):
    """What each process does: learn from its half of the rollout that the test made."""
    from pufferlib.ppo.peers import started_by_torchrun

    with started_by_torchrun("cpu") as peers:
        assert peers.count == 2
        trainer = trainer_of(HALF, peers=peers)
        rollout = torch.load(f"{folder}/rollout.pt", weights_only=False)
        trainer.learn(half_of(rollout, rank))
        torch.save((weights_of(trainer), trainer._losses), f"{folder}/{rank}.pt")


@pytest.mark.timeout(120)
def test_gradients_of_two_halves_are_those_of_the_whole(tmp_path):
    whole = trainer_of(2 * HALF)
    rollout = whole.collect()
    rollout.valid[3:9, 1] = False  # counts differ between the halves
    torch.save(rollout, tmp_path / "rollout.pt")
    before = weights_of(whole).clone()
    whole.learn(rollout)
    run(tmp_path, f"test_peers.learn_together(rank, {str(tmp_path)!r})")
    found = [torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1)]
    assert torch.equal(found[0][0], found[1][0])
    assert not torch.equal(before, weights_of(whole))
    torch.testing.assert_close(found[0][0], weights_of(whole), rtol=1e-5, atol=1e-6)
    for name, value in whole._losses.items():
        assert found[0][1][name] == pytest.approx(value, rel=1e-3, abs=1e-5)


def train_together(rank, folder):
    from pufferlib.ppo.peers import started_by_torchrun

    with started_by_torchrun("cpu") as peers:
        trainer = trainer_of(HALF, peers=peers)
        opening = trainer._collector._observations.clone()
        while not trainer.is_done:
            metrics = trainer.step()
        torch.save((weights_of(trainer), metrics["timesteps"], opening), f"{folder}/{rank}.pt")


@pytest.mark.timeout(120)
def test_they_play_different_games_and_end_together(tmp_path):
    run(tmp_path, f"test_peers.train_together(rank, {str(tmp_path)!r})")
    found = [torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1)]
    assert torch.equal(found[0][0], found[1][0])
    assert found[0][1] == found[1][1] >= CONFIG.total_timesteps
    assert not torch.equal(found[0][2], found[1][2])


def run(folder, call):
    """Run a call in two processes under torchrun; `rank` is the process's."""
    script = folder / "script.py"
    script.write_text(
        "import os, sys\n"
        f"sys.path.insert(0, {os.path.dirname(__file__)!r})\n"
        "import test_peers\n"
        "rank = int(os.environ['RANK'])\n"
        f"{call}\n"
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    result = subprocess.run(
        [*command, "--nproc-per-node", "2", str(script)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-3000:]
