"""CleanRL's scripts run over our vectorizer with the lines of the diffs.

PUFFERLIB_CLEANRL names a checkout of CleanRL at commit fe8d8a03; `tyro` must be installed.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DIFFS = sorted((ROOT / "examples" / "cleanrl").glob("*.diff"))
DOCS = (ROOT / "docs" / "frameworks-cleanrl.md").read_text()
CHECKOUT = os.environ.get("PUFFERLIB_CLEANRL")
STEPS = {
    "ppo": ["--total-timesteps", "2048"],
    "ppo_continuous_action": ["--env-id", "Pendulum-v1", "--total-timesteps", "4096"],
    "ppo_atari": ["--total-timesteps", "2048"],
    "ppo_atari_lstm": ["--total-timesteps", "2048"],
}


@pytest.mark.parametrize("diff", DIFFS, ids=lambda path: path.stem)
def test_the_docs_count_the_lines_of_each_diff(diff):
    lines = diff.read_text().splitlines()[2:]
    added, removed = (sum(line.startswith(sign) for line in lines) for sign in "+-")
    row = re.search(rf"\| \[`{diff.stem}\.py`\].*? \| (\d+) \| (\d+) \|", DOCS)
    assert (int(row[1]), int(row[2])) == (added, removed)


def test_the_docs_show_the_diff_of_ppo():
    lines = (ROOT / "examples" / "cleanrl" / "ppo.diff").read_text().split("\n", 2)[2]
    assert f"```diff\n{lines}```" in DOCS
    assert {diff.stem for diff in DIFFS} == set(STEPS)


@pytest.mark.slow
@pytest.mark.skipif(CHECKOUT is None, reason="needs CleanRL: PUFFERLIB_CLEANRL=CHECKOUT")
@pytest.mark.parametrize("name", STEPS)
def test_a_script_of_cleanrl_runs_with_its_diff(name, tmp_path):
    shutil.copytree(f"{CHECKOUT}/cleanrl", tmp_path / "cleanrl")
    diff = ROOT / "examples" / "cleanrl" / f"{name}.diff"
    subprocess.run(["git", "apply", str(diff)], cwd=tmp_path, check=True)
    paths = [str(ROOT), str(CHECKOUT), os.environ.get("PYTHONPATH", "")]
    result = subprocess.run(
        [sys.executable, f"cleanrl/{name}.py", *STEPS[name]],
        capture_output=True,
        text=True,
        timeout=280,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )
    assert result.returncode == 0, result.stderr
    assert "episodic_return=" in result.stdout
    assert "SPS:" in result.stdout.splitlines()[-1]
