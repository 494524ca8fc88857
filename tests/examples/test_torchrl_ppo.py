"""The example of TorchRL runs; at its full length it learns CartPole.

LEARN_SEEDS=1,2,3 tries more seeds than the first.
"""

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "torchrl_ppo.py"
SEEDS = os.environ.get("LEARN_SEEDS", "1").split(",")


def mean_return(*arguments):
    pytest.importorskip("torchrl")
    result = subprocess.run(
        [sys.executable, str(EXAMPLE), *arguments], capture_output=True, text=True, timeout=290
    )
    assert result.returncode == 0, result.stderr
    return float(result.stdout.split()[-1])


@pytest.mark.long
def test_the_example_runs():
    assert math.isfinite(mean_return("--timesteps", "2048"))  # too short to learn


@pytest.mark.learn
@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_the_example_learns_cartpole(seed):
    assert mean_return("--seed", seed) >= 475
