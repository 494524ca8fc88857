"""Policies go from `puffer train` to Stable-Baselines3, and from there to `puffer eval`."""

import numpy as np
import pytest
import torch
from sb3_contrib import RecurrentPPO
from stable_baselines3 import PPO
from stable_baselines3.common.evaluation import evaluate_policy
from torch.testing import assert_close

import pufferlib
from pufferlib import vector
from pufferlib.cli.main import main
from pufferlib.exceptions import CheckpointError
from pufferlib.frameworks.sb3 import Policy, PufferVecEnv, RecurrentPolicy
from pufferlib.registry import classic_control
from pufferlib.runs import Run
from pufferlib.runs.checkpoints import save_policy

TASK = "CartPole-v1"
SMALL = {"vec.backend": "Serial", "vec.num_envs": 2, "policy.hidden_size": 8}
TRAIN = {"train.total_timesteps": 256, "train.horizon": 32, "train.minibatches": 2}


@pytest.fixture
def env():
    made = PufferVecEnv(vector.make(classic_control.env_creator(TASK), num_envs=2))
    yield made
    made.close()


def model_of(env, creator, **options):
    return PPO(
        Policy, env, policy_kwargs={"policy_creator": creator}, n_steps=16, batch_size=16, **options
    )


@pytest.mark.parametrize("memory", ["none", pytest.param("lstm", marks=pytest.mark.long)])
def test_a_policy_of_puffer_train_is_evaluated_by_stable_baselines3(memory, env, tmp_path, capsys):
    settings = {**SMALL, **TRAIN, "policy.memory": memory, "run": tmp_path / "run"}
    Run.configure(TASK, settings).train()
    trained = pufferlib.load(tmp_path / "run")
    algorithm, form = (PPO, Policy) if memory == "none" else (RecurrentPPO, RecurrentPolicy)
    creator = trained.run.make_policy  # the same network
    options = {"policy_kwargs": {"policy_creator": creator}, "n_steps": 16, "batch_size": 16}
    model = algorithm(form, env, device="cpu", **options)
    model.policy.network.load_state_dict(trained.network.state_dict())
    env.seed(0)
    observations, state, starts = env.reset(), None, np.ones(2, np.bool_)
    for _ in range(30):
        expected = trained.act(observations, starts, deterministic=True)
        actions, state = model.predict(observations, state, starts, deterministic=True)
        np.testing.assert_array_equal(actions, expected)
        observations, _, starts, _ = env.step(actions)
    mean, _ = evaluate_policy(model, env, n_eval_episodes=4)
    assert mean >= 8  # steps, the fewest in which the pole can fall
    capsys.readouterr()


@pytest.mark.long
def test_a_policy_of_stable_baselines3_is_evaluated_by_puffer_eval(env, tmp_path, capsys):
    run = Run.configure(TASK, SMALL)
    model = model_of(env, run.make_policy, device="cpu")
    model.learn(64)
    model.save(tmp_path / "model")  # with its creator, a method of the run
    path = tmp_path / "trained.pt"
    save_policy(run, model.policy.network, path)
    assert main(["eval", TASK, "--checkpoint", str(path), "--episodes", "4"]) == 0
    assert "greedy" in capsys.readouterr().out
    network = pufferlib.load(path).network
    rows = torch.randn(64, 4)
    for one, other in zip(network(rows), model.policy.network.eval()(rows), strict=True):
        assert_close(one, other, atol=1e-6, rtol=1e-6)
    begun = Run.configure(TASK, {**SMALL, **TRAIN, "run": tmp_path / "next"}, init=path)
    begun.check_init()
    with pytest.raises(CheckpointError, match="another architecture"):
        save_policy(Run.configure(TASK), model.policy.network, tmp_path / "other.pt")
    assert not (tmp_path / "other.pt").exists()
