"""The example of a curriculum opens a lock that is never opened without one.

LEARN_SEEDS=1,2,3 tries more seeds than the first.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "curriculum.py"
SEEDS = os.environ.get("LEARN_SEEDS", "1").split(",")


def means_of(folder, *flags):
    result = subprocess.run(
        [sys.executable, str(EXAMPLE), *flags],
        capture_output=True,
        text=True,
        timeout=240,
        cwd=folder,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return {line.split()[0]: float(line.split()[1]) for line in result.stdout.splitlines()[-3:]}


@pytest.mark.long
def test_the_example_runs(tmp_path):
    assert means_of(tmp_path, "--timesteps", "1024") == {"random": 0, "sampled": 0, "greedy": 0}


@pytest.mark.learn
@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_the_lock_is_opened_with_the_curriculum_only(seed, tmp_path):
    assert means_of(tmp_path, "--seed", seed)["sampled"] > 0.7
    assert means_of(tmp_path, "--seed", seed, "--no-curriculum")["sampled"] == 0
