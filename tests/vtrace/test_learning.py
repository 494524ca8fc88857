"""V-trace learns, from every environment at a time and from a pool of them.

Each run prints its score; `pytest -rP` shows it. LEARN_SEEDS=1,2,3 tries more seeds than the first.
"""

import os

import pytest
import torch

from pufferlib import vector
from pufferlib.models import Default
from pufferlib.registry.ocean import env_creator
from pufferlib.training import Trainer
from pufferlib.vtrace import VTraceConfig

pytestmark = [pytest.mark.learn, pytest.mark.timeout(300)]

SEEDS = [int(seed) for seed in os.environ.get("LEARN_SEEDS", "1").split(",")]
VECTORIZERS = {
    "serial": {"num_envs": 4},
    "pool": {"backend": "Multiprocessing", "num_envs": 4, "num_workers": 2, "batch_size": 2},
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", ["serial", pytest.param("pool", marks=pytest.mark.long)])
def test_squared_is_solved(kind, seed):
    # A random policy scores 0.01; the optimum is 1.
    vecenv = vector.make(env_creator("squared"), env_kwargs={"num_agents": 16}, **VECTORIZERS[kind])
    try:
        torch.manual_seed(seed)
        config = VTraceConfig(
            total_timesteps=100_000,
            horizon=16,
            minibatches=4,
            learning_rate=5e-3,
            gamma=0.95,
            seed=seed,
            device="cpu",
        )
        trainer = Trainer(config, vecenv, Default(vecenv))
        while not trainer.is_done:
            metrics = trainer.step()
    finally:
        vecenv.close()
    print(kind, seed, {name: round(value, 4) for name, value in metrics.items()})
    assert metrics["episode/score"] > 0.9
