"""A shared critic learns rewards a thousand times as large only with normalized returns.

LEARN_SEEDS=1,2,3 tries more seeds than the first.
"""

import json
import os

import pytest

from pufferlib.runs import Run

pytestmark = [pytest.mark.learn, pytest.mark.slow, pytest.mark.timeout(600)]

SEEDS = os.environ.get("LEARN_SEEDS", "1").split(",")
SCALED = """
import gymnasium

def make():
    return gymnasium.wrappers.TransformReward(gymnasium.make("CartPole-v1"), lambda r: 1000 * r)
"""


@pytest.mark.parametrize("seed", SEEDS)
def test_a_shared_critic_learns_large_rewards_with_normalized_returns_only(seed, tmp_path, capsys):
    (tmp_path / "scaled.py").write_text(SCALED)
    lengths = {}
    for is_normalized in (False, True):
        settings = {
            "run": tmp_path / str(is_normalized),
            "policy.critic": "shared",  # its loss is a million times as large
            "train.seed": seed,
            "train.total_timesteps": 60_000,
            "train.learning_rate": 1e-3,
            "train.normalize_rewards": False,
            "train.normalize_returns": is_normalized,
            "vec.backend": "Serial",
            "vec.num_envs": 8,
        }
        Run.configure(f"{tmp_path / 'scaled.py'}:make", settings).train()
        lines = (tmp_path / str(is_normalized) / "metrics.jsonl").read_text().splitlines()
        lengths[is_normalized] = json.loads(lines[-1])["episode/episode_length"]
    capsys.readouterr()
    print(f"{seed}: {lengths}")
    assert lengths[False] < 50 < 100 < lengths[True]  # random: 22; the limit: 500
