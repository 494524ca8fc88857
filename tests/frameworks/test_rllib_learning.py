"""RLlib's PPO learns with our environments and policies, on two env runners.

Each test prints its score, steps and seconds; `pytest -rP` shows them.
"""

import functools
import time

import gymnasium
import pytest
from ray_clusters import RLLIB_FILTERS, local_ray
from training_environments import Signals

from pufferlib import vector
from pufferlib.models import Default, GRUWrapper, LSTMWrapper
from pufferlib.registry import ocean

pytestmark = [
    *RLLIB_FILTERS,
    pytest.mark.leaves_threads,
    pytest.mark.learn,
    pytest.mark.slow,
    pytest.mark.timeout(900),
]
rllib = pytest.importorskip("pufferlib.frameworks.rllib", exc_type=ImportError)
ppo = pytest.importorskip("ray.rllib.algorithms.ppo", exc_type=ImportError)


@pytest.fixture(scope="module", autouse=True)
def cluster():
    with local_ray(3, log_to_driver=False):
        yield


@pytest.fixture(autouse=True)
def nothing_left(cluster):
    """Ray's processes are left until the last test."""
    return


def learned(config, solved, most_steps, **training):
    """Train until the episodes of an update return `solved` on average; return the greedy mean."""
    config.env_runners(num_env_runners=2).debugging(seed=1)
    config.training(**{"use_kl_loss": False, "lambda_": 0.95, "vf_clip_param": 1e6, **training})
    config.evaluation(evaluation_duration=20, evaluation_config={"explore": False})
    config.evaluation(evaluation_interval=10**6)  # only when asked to
    algorithm, began_s = config.build_algo(), time.monotonic()
    steps = returned = 0
    while returned < solved and steps < most_steps:
        results = algorithm.train()["env_runners"]
        steps = results["num_env_steps_sampled_lifetime"]
        returned = results["episode_return_mean"]
    seconds = time.monotonic() - began_s
    score = algorithm.evaluate()["env_runners"]["episode_return_mean"]
    algorithm.stop()
    print(f"greedy {score:.3f}, sampled {returned:.3f}, {steps:.0f} steps, {seconds:.1f} s")
    return score


CART_POLE = {
    "train_batch_size_per_learner": 2048,
    "minibatch_size": 256,
    "num_epochs": 10,
    "lr": 1e-3,
}


@pytest.mark.parametrize("vectorized", [False, True], ids=["single environments", "vectorizer"])
def test_cart_pole_is_solved(vectorized):
    # A random policy returns 22.
    def make_envs(num_envs):
        return vector.make(
            gymnasium.make, ["CartPole-v1"], num_envs=num_envs, autoreset="next_step"
        )

    policy = functools.partial(Default, hidden_size=64, critic="separate")
    make = make_envs if vectorized else lambda: gymnasium.make("CartPole-v1")
    config = rllib.configure(ppo.PPOConfig(), make, policy, vectorized=vectorized)
    config.env_runners(num_envs_per_env_runner=4)
    assert learned(config, solved=485, most_steps=120_000, **CART_POLE) >= 475


@pytest.mark.parametrize("memory", [LSTMWrapper, GRUWrapper])
def test_memory_is_solved_by_a_recurrent_policy(memory):
    # Any policy without memory is right about half of the bits: it returns 0.5.
    config = rllib.configure(
        ppo.PPOConfig(),
        ocean.make_env,
        lambda env: memory(env, Default(env, hidden_size=64)),
        {"name": "memory"},
        max_seq_len=6,
    )
    config.env_runners(num_envs_per_env_runner=16)
    training = {"train_batch_size_per_learner": 2048, "minibatch_size": 512, "num_epochs": 4}
    training |= {"lr": 3e-3, "clip_param": 0.1, "entropy_coeff": 0.01, "grad_clip": 0.5}
    assert learned(config, solved=0.99, most_steps=120_000, **training) > 0.95


@pytest.mark.parametrize(
    ("make", "solved"),
    [(Signals, 21), (lambda: ocean.make_env("multiagent"), 1.95)],
    ids=["agents that leave", "native"],
)
def test_pettingzoo_environments_are_solved(make, solved):
    # At most 24 and 2 can be had; random policies return 6 and 1.
    policy = functools.partial(Default, hidden_size=64)
    config = rllib.configure(ppo.PPOConfig(), make, policy)
    config.env_runners(num_envs_per_env_runner=4)
    training = {"train_batch_size_per_learner": 512, "minibatch_size": 128, "num_epochs": 4}
    training |= {"lr": 3e-3, "entropy_coeff": 0.01}
    assert learned(config, solved, most_steps=20_000, **training) >= solved
