"""The example for RLlib trains, and saves a checkpoint."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("ray.rllib", exc_type=ImportError)
EXAMPLE = Path(__file__).parents[2] / "examples" / "rllib.py"
pytestmark = [pytest.mark.long, pytest.mark.leaves_threads, pytest.mark.timeout(600)]


def test_the_example_runs(tmp_path):
    result = subprocess.run(
        [sys.executable, str(EXAMPLE), "--steps", "2048", "--save", str(tmp_path / "saved")],
        capture_output=True,
        text=True,
        timeout=540,  # starts Ray and two runners that import torch each: 240 s on a busy machine
        cwd=tmp_path,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    progress, saved = result.stdout.splitlines()[-2:]
    assert progress.startswith("steps 20")
    assert saved == f"Saved {tmp_path / 'saved'}"
    assert (tmp_path / "saved" / "rllib_checkpoint.json").exists()
