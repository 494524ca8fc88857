"""Two processes that train together take the same step as one process with all rows."""

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
from pufferlib.registry.ocean import env_creator
from pufferlib.training.rollout import Rollout
from pufferlib.training.statistics import RewardScale
from pufferlib.vtrace import VTraceConfig

CONFIG = TrainConfig(horizon=16, minibatches=1, update_epochs=2, threads=1, total_timesteps=4096)
VTRACE = VTraceConfig(horizon=16, minibatches=1, update_epochs=2, threads=1, total_timesteps=4096)
HALF = 4
KINDS = ("plain", "memory", "vtrace")


def trainer_of(kind, num_agents, config=CONFIG, context=None):
    """Return a trainer of a plain policy, of a recurrent one with all normalization, or V-trace."""
    task = "continuous" if kind == "memory" else "squared"
    if kind == "vtrace":
        config = VTRACE
    vecenv = vector.make(env_creator(task), env_kwargs={"num_agents": num_agents})
    torch.manual_seed(5)
    policy = Default(vecenv)
    if kind == "memory":
        policy = LSTMWrapper(vecenv, NormalizedObservations(vecenv, policy))
        config = dataclasses.replace(
            config, normalize_rewards=True, normalize_returns=True, kl_adaptive=1e-4
        )
    return Trainer(config, vecenv, policy, context)


def losses_of(trainer):
    return {name: value for name, value in trainer.metrics().items() if name.startswith("loss/")}


def numbers_of(trainer):
    """Return the adapted learning rate and the statistics of returns, where there are any."""
    state = trainer.algorithm.state_dict()
    return {**state.get("adapted_learning_rate", {}), **state.get("normalizer", {})}


def draw(trainer):
    """Return the next random numbers for sampling the trainer's actions."""
    with trainer._random.active():
        return torch.rand(8)


def half_of(rollout, rank):
    """Return the rollout of half the rows."""
    rows = slice(rank * HALF, (rank + 1) * HALF)
    dim = 1 if rollout.initial_state is not None else 0
    half = Rollout(rollout.horizon, rollout.observations[0], rollout.actions[0], HALF, dim)
    for name, value in vars(rollout).items():
        if isinstance(value, torch.Tensor) and not name.startswith("_"):
            getattr(half, name)[:] = value[:, rows]
    if rollout.initial_state is not None:
        half.initial_state = tuple(part[:, rows] for part in rollout.initial_state)
    return half


def weights_of(trainer):
    """Return the weights, and the mean and variance of observations where they are normalized."""
    return torch.cat([part.detach().flatten() for part in trainer.policy.state_dict().values()])


def learn_together(rank, folder):
    """In each process, learn from its half of the rollout that the test made."""
    from pufferlib.training.distributed import distributed_context

    with distributed_context(torch.device("cpu")) as context:
        assert context.world_size == 2
        for kind in KINDS:
            trainer = trainer_of(kind, HALF, context=context)
            rollout = torch.load(f"{folder}/{kind}.pt", weights_only=False)
            trainer.update(half_of(rollout, rank))
            found = weights_of(trainer), losses_of(trainer), numbers_of(trainer)
            torch.save(found, f"{folder}/{kind}-{rank}.pt")


@pytest.mark.long
def test_two_halves_learn_the_same_as_the_whole(tmp_path):
    wholes = {kind: trainer_of(kind, 2 * HALF) for kind in KINDS}
    before = {}
    for kind, whole in wholes.items():
        whole.collect()
        rollout = whole.collect()  # with a memory of what was before it
        rollout.valid[3:9, 1] = False  # counts differ between the halves
        torch.save(rollout, tmp_path / f"{kind}.pt")
        before[kind] = weights_of(whole).clone()
        whole.update(rollout)
    run(tmp_path, f"test_distributed.learn_together(rank, {str(tmp_path)!r})")
    for kind, whole in wholes.items():
        found = [torch.load(tmp_path / f"{kind}-{rank}.pt") for rank in (0, 1)]
        assert torch.equal(found[0][0], found[1][0])
        assert not torch.equal(before[kind], weights_of(whole))
        torch.testing.assert_close(found[0][0], weights_of(whole), rtol=1e-5, atol=1e-5)
        for name, value in losses_of(whole).items():
            assert found[0][1][name] == pytest.approx(value, rel=1e-3, abs=1e-5)
        assert found[0][2] == found[1][2] == pytest.approx(numbers_of(whole), rel=1e-5)
        assert len(found[0][2]) == (5 if kind == "memory" else 0)


def learn_apart(rank, folder):
    from pufferlib.training.distributed import distributed_context

    with distributed_context(torch.device("cpu")) as context:
        config = dataclasses.replace(CONFIG, minibatches=4)
        trainer = trainer_of("plain", HALF, config, context)
        rollout = trainer.collect()
        if rank:  # two samples for four minibatches
            rollout.valid[:] = False
            rollout.valid[0, :2] = True
        trainer.update(rollout)
        steps = {state["step"].item() for state in trainer.algorithm.optimizer.state.values()}
        torch.save((weights_of(trainer), steps), f"{folder}/{rank}.pt")


@pytest.mark.long
def test_a_process_whose_agents_are_absent_takes_the_same_steps(tmp_path):
    run(tmp_path, f"test_distributed.learn_apart(rank, {str(tmp_path)!r})")
    found = [torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1)]
    assert torch.equal(found[0][0], found[1][0])
    assert found[0][1] == found[1][1] == {CONFIG.update_epochs * 4}


def test_a_shared_scale_equals_the_scale_of_all_rows():
    # `total` simulates the other process: it adds that process's share.
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
            scale.merge_processes(lambda own, seen=seen: seen, torch.device("cpu"))
        for scale in halves:
            assert scale.state_dict() == pytest.approx(whole.state_dict(), rel=1e-9)


def train_together(rank, folder):
    from pufferlib.training.distributed import distributed_context

    with distributed_context(torch.device("cpu")) as context:
        with pytest.raises(SettingError, match="exact_resume is for one process; got 2"):
            trainer_of("plain", HALF, dataclasses.replace(CONFIG, exact_resume=True), context)
        config = dataclasses.replace(CONFIG, minibatches=2)
        trainer = trainer_of("memory", HALF, config, context)
        found = {"opening": trainer._collector._observed.tensor.clone()}
        while not trainer.is_done:
            found["metrics"] = trainer.step()
        found |= {"weights": weights_of(trainer), "scale": trainer.state_dict()["reward_scale"]}
        found["drawn"] = draw(trainer)
        if context.is_main:
            trainer.save(f"{folder}/checkpoint.pt")
            found["expected"] = draw(trainer)
        dist.barrier()
        trainer.load(f"{folder}/checkpoint.pt")
        found["resumed"], found["again"] = (
            draw(trainer),
            trainer._collector._observed.tensor.clone(),
        )
        torch.save(found, f"{folder}/{rank}.pt")


@pytest.mark.long
def test_they_play_different_games_and_end_together(tmp_path):
    run(tmp_path, f"test_distributed.train_together(rank, {str(tmp_path)!r})")
    one, other = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    assert torch.equal(one["weights"], other["weights"])
    timesteps = one["metrics"]["timesteps"]
    assert timesteps == other["metrics"]["timesteps"] >= CONFIG.total_timesteps
    assert one["scale"]["count"] == pytest.approx(timesteps + 1e-4)  # it begins with 1e-4
    assert one["scale"] == pytest.approx(other["scale"], rel=1e-9)
    assert not torch.equal(one["drawn"], other["drawn"])
    # After a resume, the first process continues its random stream, and the second has a new one.
    assert torch.equal(one["resumed"], one["expected"])
    assert not torch.equal(other["resumed"], one["resumed"])
    assert not torch.equal(other["resumed"], other["drawn"])
    openings = [found[when] for found in (one, other) for when in ("opening", "again")]
    for index, opening in enumerate(openings):
        assert not any(torch.equal(opening, before) for before in openings[:index])


def run(folder, call):
    """Run a call in two processes under torchrun; `rank` is the process's."""
    script = folder / "script.py"
    script.write_text(
        "import os, sys\n"
        f"sys.path.insert(0, {os.path.dirname(__file__)!r})\n"
        "import test_distributed\n"
        "rank = int(os.environ['RANK'])\n"
        f"{call}\n"
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    result = subprocess.run(
        [*command, "--nproc-per-node", "2", str(script)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-3000:]
