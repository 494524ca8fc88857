"""Two processes that learn together take the step that one with all the rows would."""

import copy
import dataclasses
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.distributed as dist

from pufferlib import vector
from pufferlib.exceptions import SettingError
from pufferlib.models import Default, LSTMWrapper, NormalizedObservations
from pufferlib.ppo import TrainConfig, Trainer
from pufferlib.ppo.statistics import RewardScale
from pufferlib.registry.ocean import env_creator

CONFIG = TrainConfig(horizon=16, minibatches=1, update_epochs=2, threads=1, total_timesteps=4096)
HALF = 4
KINDS = ("plain", "memory")


def trainer_of(kind, num_agents, config=CONFIG, peers=None):
    """Return one of a plain policy, or of one with memory and all that is scaled."""
    task = {"plain": "squared", "memory": "continuous"}[kind]
    vecenv = vector.make(env_creator(task), env_kwargs={"num_agents": num_agents})
    torch.manual_seed(5)
    policy = Default(vecenv)
    if kind == "memory":
        policy = LSTMWrapper(vecenv, NormalizedObservations(vecenv, policy))
        config = dataclasses.replace(config, normalize_rewards=True)
    return Trainer(config, vecenv, policy, peers)


def half_of(rollout, rank):
    """Return the rollout of half the rows."""
    half = copy.copy(rollout)
    rows = slice(rank * HALF, (rank + 1) * HALF)
    for name, value in vars(rollout).items():
        if isinstance(value, torch.Tensor) and value.dim() >= 2:
            setattr(half, name, value[:, rows])
    if rollout.initial_state is not None:
        half.initial_state = tuple(part[:, rows] for part in rollout.initial_state)
    half.rows = HALF
    half.columns = torch.arange(HALF)
    return half


def weights_of(trainer):
    """Return the weights, and the mean and variance of observations where they are normalized."""
    return torch.cat([part.detach().flatten() for part in trainer.policy.state_dict().values()])


def learn_together(rank, folder):
    """What each process does: learn from its half of the rollout that the test made."""
    from pufferlib.ppo.peers import started_by_torchrun

    with started_by_torchrun("cpu") as peers:
        assert peers.count == 2
        for kind in KINDS:
            trainer = trainer_of(kind, HALF, peers=peers)
            rollout = torch.load(f"{folder}/{kind}.pt", weights_only=False)
            trainer.learn(half_of(rollout, rank))
            torch.save((weights_of(trainer), trainer._losses), f"{folder}/{kind}-{rank}.pt")


@pytest.mark.timeout(120)
def test_two_halves_learn_what_the_whole_does(tmp_path):
    wholes = {kind: trainer_of(kind, 2 * HALF) for kind in KINDS}
    before = {}
    for kind, whole in wholes.items():
        whole.collect()
        rollout = whole.collect()  # with a memory of what was before it
        rollout.valid[3:9, 1] = False  # counts differ between the halves
        torch.save(rollout, tmp_path / f"{kind}.pt")
        before[kind] = weights_of(whole).clone()
        whole.learn(rollout)
    run(tmp_path, f"test_peers.learn_together(rank, {str(tmp_path)!r})")
    for kind, whole in wholes.items():
        found = [torch.load(tmp_path / f"{kind}-{rank}.pt") for rank in (0, 1)]
        assert torch.equal(found[0][0], found[1][0])
        assert not torch.equal(before[kind], weights_of(whole))
        torch.testing.assert_close(found[0][0], weights_of(whole), rtol=1e-5, atol=1e-5)
        for name, value in whole._losses.items():
            assert found[0][1][name] == pytest.approx(value, rel=1e-3, abs=1e-5)


def learn_apart(rank, folder):
    from pufferlib.ppo.peers import started_by_torchrun

    with started_by_torchrun("cpu") as peers:
        config = dataclasses.replace(CONFIG, minibatches=4)
        trainer = trainer_of("plain", HALF, config, peers)
        rollout = trainer.collect()
        if rank:  # two samples for four minibatches
            rollout.valid[:] = False
            rollout.valid[0, :2] = True
        trainer.learn(rollout)
        steps = {state["step"].item() for state in trainer._optimizer.state.values()}
        torch.save((weights_of(trainer), steps), f"{folder}/{rank}.pt")


@pytest.mark.timeout(120)
def test_a_process_whose_agents_are_absent_takes_the_same_steps(tmp_path):
    run(tmp_path, f"test_peers.learn_apart(rank, {str(tmp_path)!r})")
    found = [torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1)]
    assert torch.equal(found[0][0], found[1][0])
    assert found[0][1] == found[1][1] == {CONFIG.update_epochs * 4}


def test_scales_that_agree_are_the_scale_of_all_rows():
    # `total` stands for the other process: it adds what that one would.
    random = np.random.default_rng(0)
    rewards = random.normal(3, 5, (40, 2 * HALF)).astype(np.float32)
    ends = random.random(rewards.shape) < 0.1
    acting = random.random(rewards.shape) < 0.8
    whole = RewardScale(2 * HALF, 0.9)
    halves = [RewardScale(HALF, 0.9) for _ in range(2)]
    for begin in (0, 20):
        for row in range(begin, begin + 20):
            whole(rewards[row], ends[row], acting[row])
            for half, scale in enumerate(halves):
                rows = slice(half * HALF, (half + 1) * HALF)
                scale(rewards[row, rows], ends[row, rows], acting[row, rows])
        seen = torch.tensor(np.array([scale._since for scale in halves])).sum(0)
        for scale in halves:
            scale.agree(lambda own, seen=seen: seen, torch.device("cpu"))
        for scale in halves:
            assert scale.state_dict() == pytest.approx(whole.state_dict(), rel=1e-9)


def train_together(rank, folder):
    from pufferlib.ppo.peers import started_by_torchrun

    with started_by_torchrun("cpu") as peers:
        with pytest.raises(SettingError, match="exact_resume is for one process; got 2"):
            trainer_of("plain", HALF, dataclasses.replace(CONFIG, exact_resume=True), peers)
        config = dataclasses.replace(CONFIG, minibatches=2)
        trainer = trainer_of("memory", HALF, config, peers)
        told = {"opening": trainer._collector._observations.clone()}
        while not trainer.is_done:
            told["metrics"] = trainer.step()
        told |= {"weights": weights_of(trainer), "scale": trainer._scale.state_dict()}
        told["drawn"] = torch.rand(8)
        if peers.is_first:
            trainer.save(f"{folder}/checkpoint.pt")
            told["expected"] = torch.rand(8)
        dist.barrier()
        trainer.load(f"{folder}/checkpoint.pt")
        told["resumed"], told["again"] = torch.rand(8), trainer._collector._observations.clone()
        torch.save(told, f"{folder}/{rank}.pt")


@pytest.mark.timeout(120)
def test_they_play_different_games_and_end_together(tmp_path):
    run(tmp_path, f"test_peers.train_together(rank, {str(tmp_path)!r})")
    one, other = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    assert torch.equal(one["weights"], other["weights"])
    timesteps = one["metrics"]["timesteps"]
    assert timesteps == other["metrics"]["timesteps"] >= CONFIG.total_timesteps
    assert one["scale"]["count"] == pytest.approx(timesteps + 1e-4)  # it begins with 1e-4
    assert one["scale"] == pytest.approx(other["scale"], rel=1e-9)
    assert not torch.equal(one["drawn"], other["drawn"])
    # Resumed, the first draws what it would have, and the second what neither did.
    assert torch.equal(one["resumed"], one["expected"])
    assert not torch.equal(other["resumed"], one["resumed"])
    assert not torch.equal(other["resumed"], other["drawn"])
    openings = [told[when] for told in (one, other) for when in ("opening", "again")]
    for index, opening in enumerate(openings):
        assert not any(torch.equal(opening, before) for before in openings[:index])


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
