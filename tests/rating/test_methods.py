"""The script that compares methods of rating prints its tables."""

import re
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "rating_methods.py"


def test_the_fit_does_not_move_with_the_order_and_online_elo_does():
    sizes = ["--games", "300", "--orders", "3", "--tournaments", "2"]
    result = subprocess.run(
        [sys.executable, str(SCRIPT), *sizes], capture_output=True, text=True, timeout=240
    )
    assert result.returncode == 0, result.stderr
    moves = dict(re.findall(r"^\| (.*?) \| \d+ \| (\d+) \|$", result.stdout, re.MULTILINE))
    assert moves.pop("`rating.fit`") == "0"
    assert len(moves) == 3
    assert all(int(moved) > 0 for moved in moves.values())
    assert len(re.findall(r"%.*%.*%", result.stdout)) >= 6  # a row per share of ties
