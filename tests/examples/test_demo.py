"""The demo runs from end to end; its full length is `make demo`."""

import subprocess
import sys
from pathlib import Path

import pytest

DEMO = Path(__file__).parents[2] / "examples" / "demo.py"


@pytest.mark.long
def test_the_demo_trains_evaluates_saves_and_replays(tmp_path):
    arguments = ["--seconds", "4", "--episodes", "4", "--replay-steps", "20"]
    result = subprocess.run(
        [sys.executable, str(DEMO), *arguments, "--run", str(tmp_path / "run")],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert result.returncode == 0, result.stderr
    policies = ("random", "sampled", "greedy")
    for expected in ("return of 4 episodes", *policies, "One game", "@", "step 20"):
        assert expected in result.stdout
    assert (tmp_path / "run" / "checkpoint.pt").is_file()
