"""The example of Stable-Baselines3 runs; `tests/learn/test_sb3.py` trains it to the end."""

import math
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "sb3.py"


@pytest.mark.long
def test_the_example_runs_and_saves(tmp_path):
    result = subprocess.run(
        [sys.executable, str(EXAMPLE), "--timesteps", "512"],
        capture_output=True,
        text=True,
        timeout=240,
        cwd=tmp_path,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    name, returned = result.stdout.split("+/-")[0].strip().rsplit(maxsplit=1)
    assert name == "mean return"
    assert math.isfinite(float(returned))  # too short to learn
    assert (tmp_path / "cartpole-sb3.zip").is_file()
