"""The snippets of 0.2, which stepped the environments of a binding with Ray."""

import numpy as np
import pytest
from environments import Population
from ray_clusters import FILTERS, local_ray

pytest.importorskip("ray")
pytestmark = [*FILTERS, pytest.mark.long]


@pytest.fixture(scope="module", autouse=True)
def cluster():
    with local_ray(num_cpus=4):
        yield


def test_a_binding_is_vectorized():
    import pufferlib.emulation
    import pufferlib.vectorization

    binding = pufferlib.emulation.Binding(
        env_cls=Population,
        env_name="Population",
    )
    num_cores, envs_per_worker = 2, 1
    envs = pufferlib.vectorization.RayVecEnv(
        binding,
        num_workers=num_cores,
        envs_per_worker=envs_per_worker,
    )
    seeded = envs.reset(seed=7).copy()
    envs.seed(7)
    observations = envs.reset()
    np.testing.assert_array_equal(observations, seeded)
    rows = 2 * binding.max_agents
    assert observations.shape == (rows, *binding.single_observation_space.shape)
    actions = np.zeros((rows, *binding.single_action_space.shape), np.int64)
    observations, rewards, dones, _ = envs.step(actions)
    assert rewards.shape == dones.shape == (rows,)
    envs.close()
