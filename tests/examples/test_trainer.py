"""The example of the trainer's Python interface runs, and learns to remember."""

import math
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "trainer.py"


def run(folder, *flags):
    """Run the example; return the scores during training, and its last line."""
    result = subprocess.run(
        [sys.executable, str(EXAMPLE), *flags],
        capture_output=True,
        text=True,
        timeout=240,
        cwd=folder,
    )
    assert result.returncode == 0, result.stderr
    *lines, last = result.stdout.splitlines()
    return [float(re.search(r"score (\S+)", line)[1]) for line in lines], last


@pytest.mark.long
def test_the_example_runs(tmp_path):
    (score,), last = run(tmp_path, "--timesteps", "2048")
    assert math.isfinite(score)  # too short to learn
    assert re.search(r"64 new games.*\[.*\]", last)
    assert (tmp_path / "memory.pt").is_file()


@pytest.mark.learn
@pytest.mark.slow
def test_the_example_learns_to_remember(tmp_path):
    scores, _ = run(tmp_path)
    assert scores[-1] > 0.95  # 0.25 without a memory
