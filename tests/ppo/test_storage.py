"""Rollouts are kept on the GPU where half of its free memory holds what was observed."""

import gymnasium
import numpy as np
import pytest
import torch

from pufferlib import vector
from pufferlib.models import Default
from pufferlib.ppo import TrainConfig, Trainer
from pufferlib.ppo.trainer import storage_device

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)
HORIZON = 8


class Still(gymnasium.Env):
    """Nothing happens."""

    observation_space = gymnasium.spaces.Box(-1, 1, (3, 2), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        return np.zeros((3, 2), np.float32), {}

    def step(self, action):
        return np.zeros((3, 2), np.float32), 0.0, False, False, {}


def synchronous():
    return vector.make(Still, num_envs=4)


def pool():
    return vector.make(Still, backend="Multiprocessing", num_envs=4, num_workers=2, batch_size=2)


@pytest.fixture(params=[synchronous, pool])
def vecenv(request):
    made = request.param()
    yield made
    made.close()


def chosen(vecenv, free_bytes, monkeypatch, storage="auto", device=GPU):
    """Return where rollouts are kept, with so much of the GPU's memory free."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free_bytes, 10**12))
    return storage_device(TrainConfig(horizon=HORIZON, storage=storage), vecenv, device)


@pytest.mark.timeout(60)
def test_half_of_the_free_memory_must_hold_the_observations(vecenv, monkeypatch):
    config = TrainConfig(horizon=HORIZON, minibatches=1, device="cpu")
    observations = Trainer(config, vecenv, Default(vecenv)).collect().observations
    # 8 steps of 3 x 2 floats: of 4 rows, or in a pool of 2 that learn and one that goes on, 2 each.
    assert observations.nbytes == 8 * 3 * 2 * 4 * (4 if vecenv.batch_size == 4 else 6)
    assert chosen(vecenv, 2 * observations.nbytes, monkeypatch) == GPU
    assert chosen(vecenv, 2 * observations.nbytes - 1, monkeypatch) == CPU


@pytest.mark.parametrize(
    ("storage", "device", "expected"),
    [("device", GPU, GPU), ("cpu", GPU, CPU), ("auto", CPU, CPU), ("device", CPU, CPU)],
)
def test_what_is_asked_for_is_done_whatever_is_free(storage, device, expected, monkeypatch):
    free_bytes = 10**12 if expected == CPU else 0
    assert chosen(synchronous(), free_bytes, monkeypatch, storage, device) == expected
