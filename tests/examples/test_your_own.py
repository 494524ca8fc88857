"""The example of an environment and a policy of one's own runs, and the command line takes both."""

import subprocess
import sys
from pathlib import Path

import pytest

from pufferlib.cli.main import main

EXAMPLE = Path(__file__).parents[2] / "examples" / "your_own.py"


@pytest.mark.long
def test_the_example_learns_to_find_the_lamp(tmp_path):
    # At most 1 - 8 * 0.02 = 0.84 can be had; a random walk rarely gets to the lamp in 32 steps.
    result = subprocess.run(
        [sys.executable, str(EXAMPLE), "--timesteps", "20000"],
        capture_output=True,
        text=True,
        timeout=240,
        cwd=tmp_path,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    means = {line.split()[0]: float(line.split()[1]) for line in result.stdout.splitlines()[-3:]}
    assert means["random"] < 0.3
    assert 0.7 < means["sampled"] <= 0.84


def test_the_command_line_trains_and_evaluates_the_same_file(tmp_path, capsys):
    env, policy = f"{EXAMPLE}:Corridor", f"{EXAMPLE}:TwoLayers"
    small = ["--train.total-timesteps", "512", "--vec.num-envs", "4", "--vec.backend", "Serial"]
    run = str(tmp_path / "run")
    assert main(["train", env, "--policy.name", policy, *small, "--run", run]) == 0
    assert main(["eval", env, "--checkpoint", run, "--episodes", "4"]) == 0
    assert "greedy" in capsys.readouterr().out


def test_it_is_short_enough_to_read():
    assert len(EXAMPLE.read_text().splitlines()) < 90
