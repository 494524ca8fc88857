"""RLlib trains, saves and restores our policies; their weights go both ways."""

import copy
import subprocess
import sys

import gymnasium
import numpy as np
import pytest
import torch
from environments import Population
from ray_clusters import RLLIB_FILTERS, importable, local_ray

import pufferlib
from pufferlib.cli.main import main
from pufferlib.models import Default, GRUWrapper, LSTMWrapper
from pufferlib.pytorch import sample_actions
from pufferlib.registry import ocean
from pufferlib.runs import Run
from pufferlib.runs.checkpoints import save_policy

pytestmark = [
    *RLLIB_FILTERS,
    pytest.mark.leaves_threads,
    pytest.mark.long,
]
rllib = pytest.importorskip("pufferlib.frameworks.rllib", exc_type=ImportError)
ppo = pytest.importorskip("ray.rllib.algorithms.ppo", exc_type=ImportError)


@pytest.fixture(scope="module", autouse=True)
def cluster():
    with local_ray(2, log_to_driver=False):
        yield


@pytest.fixture(autouse=True)
def nothing_left(cluster):
    """Ray's processes are left until the last test."""
    return


def small(policy):
    return lambda env: policy(env, Default(env, hidden_size=8))


CASES = {
    "cart pole": (gymnasium.make, {"id": "CartPole-v1"}, Default),
    "continuous": (gymnasium.make, {"id": "Pendulum-v1"}, Default),
    "bytes, multi-discrete, lstm": (ocean.make_env, {"name": "spaces"}, small(LSTMWrapper)),
    "agents that come and go": (Population, {}, Default),
    "agents with a gru": (ocean.make_env, {"name": "multiagent"}, small(GRUWrapper)),
}


def built(case, **env_runners):
    make, kwargs, policy = CASES[case]
    config = rllib.configure(ppo.PPOConfig(), make, policy, kwargs, max_seq_len=5)
    config.env_runners(num_env_runners=0, **env_runners)
    config.training(train_batch_size_per_learner=64, minibatch_size=32, num_epochs=1)
    return config.build_algo()


def module_of(algorithm):
    return algorithm.get_module() or algorithm.get_module(rllib.SHARED_MODULE)


def observations_of(module, *shape):
    """Return a batch that repeats one drawn observation."""
    layout = module.observation_space.layout
    layout.structure.seed(1)
    # Not of the flat space: bytes at random may be a float that is not a number.
    row = torch.as_tensor(layout.flatten(layout.structure.sample()))
    return {"obs": row.expand(*shape, -1)}


RESTORED = """
import sys, torch, ray
from ray.rllib.algorithms.algorithm import Algorithm
ray.init("local", num_cpus=1, log_to_driver=False, object_store_memory=100_000_000)
algorithm = Algorithm.from_checkpoint(sys.argv[1])
module = algorithm.get_module() or algorithm.get_module("shared")
torch.save(module.forward_inference(torch.load(sys.argv[2])), sys.argv[3])
algorithm.train()
algorithm.stop()
ray.shutdown()
"""


@pytest.mark.parametrize("case", CASES)
def test_a_saved_algorithm_is_restored_with_equal_outputs_and_trains_on(case, tmp_path):
    algorithm = built(case)
    before = {k: v.clone() for k, v in module_of(algorithm).state_dict().items()}
    algorithm.train()
    module = module_of(algorithm)
    after = module.state_dict()
    assert any(not torch.equal(before[key], after[key]) for key in before)
    batch = observations_of(module, *((3, 1) if module.is_stateful() else (3,)))
    expected = module.forward_inference(batch)
    algorithm.save_to_path(tmp_path / "saved")
    algorithm.stop()
    again = type(algorithm).from_checkpoint(tmp_path / "saved")
    restored = module_of(again)
    assert restored.observation_space.layout.structure == module.observation_space.layout.structure
    torch.testing.assert_close(restored.forward_inference(batch), expected, rtol=0, atol=0)
    again.train()
    again.stop()


def test_a_checkpoint_is_restored_in_another_process(tmp_path):
    algorithm = built("bytes, multi-discrete, lstm")
    module = module_of(algorithm)
    batch = observations_of(module, 3, 2)
    algorithm.save_to_path(tmp_path / "saved")
    algorithm.stop()
    torch.save(batch, tmp_path / "batch")
    arguments = [tmp_path / name for name in ("saved", "batch", "output")]
    command = [sys.executable, "-c", RESTORED, *arguments]
    with importable():
        subprocess.run(command, timeout=200, check=True, capture_output=True)
    torch.testing.assert_close(torch.load(tmp_path / "output"), module.forward_inference(batch))


def test_env_runners_are_processes_with_vectorizers():
    def make(num_envs):
        return pufferlib.vector.make(
            gymnasium.make, ["CartPole-v1"], num_envs=num_envs, autoreset="next_step"
        )

    config = rllib.configure(ppo.PPOConfig(), make, Default, vectorized=True)
    config.env_runners(num_env_runners=1, num_envs_per_env_runner=4)
    # 64 steps of each environment: untrained policies end about three episodes in them.
    config.training(train_batch_size_per_learner=256, minibatch_size=128, num_epochs=1)
    algorithm = config.build_algo()
    results = algorithm.train()["env_runners"]
    algorithm.stop()
    assert results["num_env_steps_sampled_lifetime"] >= 256
    assert 8 < results["episode_len_mean"] < 50


SMALL_RUN = {
    "vec.backend": "Serial",
    "vec.num_envs": 2,
    "policy.hidden_size": 8,
    "train.total_timesteps": 256,
    "train.horizon": 32,
    "train.minibatches": 1,
}


@pytest.mark.parametrize(
    ("task", "settings"),
    [
        ("CartPole-v1", {}),
        ("CartPole-v1", {"policy.memory": "lstm"}),
        ("Pendulum-v1", {}),
        ("spaces", {"policy.memory": "gru"}),
    ],
    ids=["discrete", "discrete, lstm", "continuous", "multi-discrete, gru"],
)
@torch.no_grad()
def test_weights_of_puffer_train_are_used_by_rllib_and_evaluated_again(
    task, settings, tmp_path, capsys
):
    with torch.enable_grad():
        Run.configure(task, {**SMALL_RUN, **settings, "run": tmp_path / "run"}).train()
    trained = pufferlib.load(tmp_path / "run")
    config = rllib.configure(
        ppo.PPOConfig(), trained.run.creator(), lambda env: copy.deepcopy(trained.network)
    )
    config.env_runners(num_env_runners=0)
    config.training(train_batch_size_per_learner=64, minibatch_size=32, num_epochs=1)
    algorithm = config.build_algo()
    module = module_of(algorithm)
    env = rllib.make_env(trained.run.creator()())
    rows = torch.as_tensor(np.stack([env.reset(seed=seed)[0] for seed in range(64)]))
    check_equal(module, trained.network, rows)
    with torch.enable_grad():
        algorithm.train()
    path = tmp_path / "trained.pt"
    module = module_of(algorithm)
    save_policy(trained.run, module.policy, path)
    algorithm.stop()
    first = next(iter(trained.network.parameters()))
    assert not torch.equal(first, next(iter(module.policy.parameters())))
    check_equal(module, pufferlib.load(path).network, rows)
    assert main(["eval", task, "--checkpoint", str(path), "--episodes", "4"]) == 0
    assert "greedy" in capsys.readouterr().out


def check_equal(module, network, rows):
    """Compare logits, log-probabilities and values on the same rows."""
    heads, values, *_ = network(rows)
    actions, log_probabilities, _ = sample_actions(heads)
    output = module.forward_exploration({"obs": rows})
    distribution = module.get_train_action_dist_cls().from_logits(output["action_dist_inputs"])
    torch.testing.assert_close(distribution.logp(actions), log_probabilities, rtol=1e-6, atol=1e-6)
    own = module.compute_values({"obs": rows})
    torch.testing.assert_close(own, values.squeeze(1), rtol=1e-6, atol=1e-6)
