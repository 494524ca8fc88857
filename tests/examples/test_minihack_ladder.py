"""The MiniHack example fails where it says so, and prints three speeds."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "minihack_ladder.py"


@pytest.mark.long
def test_it_fails_plain_and_runs_emulated_vectorized_and_from_a_pool(tmp_path):
    pytest.importorskip("minihack")
    result = subprocess.run(
        [sys.executable, str(EXAMPLE), "--rollouts", "1", "--envs", "4"],
        capture_output=True,
        text=True,
        timeout=240,
        cwd=tmp_path,
    )
    assert result.returncode == 0, result.stderr
    plain, *speeds = result.stdout.splitlines()
    assert re.fullmatch(r"1\. plain +TypeError: can only concatenate tuple .*", plain)
    found = [re.fullmatch(r"\d\. (\w.*?) +([\d,]+) steps/s", line).groups() for line in speeds]
    assert [name for name, _ in found] == ["emulated", "vectorized", "a pool"]
    assert all(int(speed.replace(",", "")) > 0 for _, speed in found)
