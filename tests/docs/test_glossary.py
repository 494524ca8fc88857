"""Every metric that a run logs is in the glossary of docs/monitoring.md."""

import re
from pathlib import Path

import pytest

from pufferlib.runs import Run
from pufferlib.training.loggers import read_metrics

PAGE = Path(__file__).parents[2] / "docs" / "monitoring.md"
SHORT = {
    "vec.backend": "Serial",
    "vec.num_envs": 8,
    "train.horizon": 16,
    "train.minibatches": 1,
    "train.update_epochs": 1,
    "train.total_timesteps": 16 * 8 * 12,  # some metrics are measured every ten updates
    "eval.share": 1.0,
    "eval.episodes": 2,
}
RUNS = {
    "PPO with an LSTM": ("memory", {"policy.memory": "lstm"}),
    "PPO with continuous actions": ("continuous", {"env.kwargs.num_agents": 1}),
    "V-trace": ("memory", {"algorithm": "vtrace", "policy.memory": "lstm"}),
    "self-play": ("open_spiel/tic_tac_toe", {"selfplay.snapshot_interval": 2}),
}


def glossary():
    """Return a pattern for each name of the glossary."""
    section = PAGE.read_text().partition("\n## Glossary\n")[2]
    rows = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    patterns = []
    for row in rows:
        group = ""
        for name in re.findall(r"`(.+?)`", row):
            group = name.rpartition("/")[0] + "/" if "/" in name else group
            full = name if "/" in name else group + name
            patterns.append(re.escape(full).replace("NAME", r"\w+").replace(r"\.\.\.", r"\w+"))
    return patterns


@pytest.mark.parametrize("kind", RUNS)
def test_every_metric_that_a_run_logs_is_in_the_glossary(kind, tmp_path):
    if kind == "self-play":
        pytest.importorskip("pyspiel")
    task, settings = RUNS[kind]
    Run.configure(task, {**SHORT, **settings, "run": tmp_path / "run"}).train()
    logged = {name for line in read_metrics(tmp_path / "run") for name in line}
    assert {"timesteps", "loss/entropy", "time/train"} <= logged
    assert {"eval/sampled_return", "policy/dead_units"} <= logged  # the latter every ten updates
    assert ("selfplay/rating" in logged) == (kind == "self-play")
    known = glossary()
    assert not {name for name in logged if not any(re.fullmatch(each, name) for each in known)}
