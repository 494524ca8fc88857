"""The minimal CleanRL script runs, and is the plain one but for the lines that docs show.

At its full length it learns CartPole. LEARN_SEEDS=1,2,3 tries more seeds than the first.
"""

import difflib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS, PLAIN = ROOT / "examples" / "cleanrl_ppo.py", ROOT / "examples/cleanrl/gymnasium_ppo.py"
SMALL = ("--total-timesteps", "2048", "--num-steps", "64")
SEEDS = os.environ.get("LEARN_SEEDS", "1").split(",")
DOCS = ROOT / "docs" / "frameworks-cleanrl.md"


def run(script, *arguments, timeout=110):
    command = [sys.executable, str(script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout)


@pytest.mark.long
@pytest.mark.parametrize("task", ["CartPole-v1", "Blackjack-v1"])
def test_the_minimal_script_runs(task):
    result = run(OURS, *SMALL, "--env-id", task)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert re.fullmatch(r"global_step=2048, episodic_return=-?\d+\.\d", lines[-1])


@pytest.mark.learn
@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_the_minimal_script_learns_cartpole(seed):
    result = run(OURS, "--seed", seed, timeout=290)
    assert result.returncode == 0, result.stderr
    returns = re.findall(r"episodic_return=(\S+)", result.stdout)  # means of 50 episodes
    assert float(returns[-1]) >= 400  # random play: 22


@pytest.mark.long
def test_the_vectorizer_alone_changes_no_number(tmp_path):
    ours = "vector.to_gymnasium(vector.make(gymnasium.make, [args.env_id], num_envs=args.num_envs))"
    theirs = r"gymnasium\.vector\.SyncVectorEnv\(.*?\n    \)"
    text, count = re.subn(theirs, ours, PLAIN.read_text(), flags=re.DOTALL)
    assert count == 1
    text = text.replace("\nimport torch\n", "\nimport torch\nfrom pufferlib import vector\n")
    (tmp_path / "script.py").write_text(text)
    expected, found = (run(script, *SMALL) for script in (PLAIN, tmp_path / "script.py"))
    assert found.returncode == 0, found.stderr
    assert expected.stdout.count("episodic_return") == 4
    assert found.stdout == expected.stdout


def test_the_docs_show_the_lines_that_differ():
    codes = [path.read_text().split('"""', 2)[2].splitlines() for path in (PLAIN, OURS)]
    expected = [line for line in difflib.unified_diff(*codes, n=0) if line[:2] != "@@"][2:]
    shown = re.findall(r"```diff\n(.*?)```", DOCS.read_text(), re.DOTALL)[0].splitlines()
    assert shown == expected
    assert len(OURS.read_text().splitlines()) < 120
