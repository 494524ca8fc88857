"""Stable-Baselines3 over environments in Ray's actors."""

import numpy as np
import pytest
from ray_clusters import FILTERS, local_ray
from sb3_environments import Mixture
from stable_baselines3 import PPO

from pufferlib import vector
from pufferlib.frameworks.sb3 import Policy, PufferVecEnv
from pufferlib.models import Default

pytest.importorskip("ray")
pytestmark = [*FILTERS, pytest.mark.long]


@pytest.fixture(scope="module", autouse=True)
def cluster():
    with local_ray(num_cpus=2):
        yield


def test_rows_equal_those_of_serial_and_ppo_trains_on_them():
    envs = [
        PufferVecEnv(vector.make(Mixture, backend=backend, num_envs=4, num_workers=2))
        for backend in ("Ray", "Serial")
    ]
    for env in envs:
        env.seed(3)
    np.testing.assert_array_equal(envs[0].reset(), envs[1].reset())
    generator = np.random.default_rng(0)
    for _ in range(100):
        actions = generator.integers(0, 4, 4)
        one, other = (env.step(actions) for env in envs)
        for part, expected in zip(one[:3], other[:3], strict=True):
            np.testing.assert_array_equal(part, expected)
        for info, expected in zip(one[3], other[3], strict=True):
            assert info.keys() == expected.keys()
            assert info["TimeLimit.truncated"] == expected["TimeLimit.truncated"]
    options = {"policy_kwargs": {"policy_creator": Default}, "n_steps": 16, "batch_size": 32}
    PPO(Policy, envs[0], device="cpu", **options).learn(128)
    for env in envs:
        env.close()
