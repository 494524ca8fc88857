"""The folder of a run is diagnosed: its files may be incomplete or damaged."""

import json

import pytest
from rich.console import Console

from pufferlib.cli.main import main
from pufferlib.exceptions import ArgumentError
from pufferlib.runs import Run
from pufferlib.runs.diagnosis import diagnose_folder

RECORD = {"timesteps": 64, "rollout/absent": 0.0}


def write_run(folder, updates=40, **changes):
    lines = [json.dumps({**RECORD, "updates": n + 1, **changes}) + "\n" for n in range(updates)]
    (folder / "config.json").write_text(json.dumps({"train": {"gamma": 0.99}}))
    (folder / "metrics.jsonl").write_text("".join(lines))


def test_a_run_that_trains_is_judged_by_its_complete_lines(tmp_path):
    write_run(tmp_path, **{"rollout/idle_rows": 0.5})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"updates": 41, "rollout/idle')
    (found,) = diagnose_folder(tmp_path).findings
    assert found.name == "Rows that never act"


def test_what_is_not_a_run_or_too_short_is_refused(tmp_path):
    with pytest.raises(ArgumentError, match=r"not the folder of a run: it has no metrics\.jsonl"):
        diagnose_folder(tmp_path)
    write_run(tmp_path, updates=9)
    with pytest.raises(ArgumentError, match="has 9 updates so far, and at least 10 are needed"):
        diagnose_folder(tmp_path)


@pytest.mark.parametrize("line", ["{", "", "3", "[]", "\xff"])
def test_a_damaged_line_is_named(tmp_path, capsys, line):
    write_run(tmp_path)
    path = tmp_path / "metrics.jsonl"
    first, rest = path.read_bytes().split(b"\n", 1)
    path.write_bytes(first + b"\n" + line.encode("latin-1") + b"\n" + rest)
    assert main(["doctor", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert f"{path} cannot be read as metrics: line 2 is not a JSON object" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("text", ['{"train": {"gam', "", "3"])
def test_a_damaged_config_is_named(tmp_path, capsys, text):
    write_run(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(text)
    assert main(["doctor", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert f"{path} cannot be read as settings" in error
    assert error.count("\n") == 1


def test_a_line_without_its_update_is_no_obstacle(tmp_path):
    write_run(tmp_path, **{"rollout/terminated": 0, "rollout/truncated": 0})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write("{}\n")
    assert diagnose_folder(tmp_path).findings == []


ROOMS = """
import gymnasium
import numpy as np


class Rooms(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-1e4, 1e4, (4,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return self._observe(), {}

    def step(self, action):
        self.steps += 1
        return self._observe(), float(self.np_random.normal()), self.steps == 5, False, {}

    def _observe(self):
        return self.np_random.normal(0, 1000, 4).astype(np.float32)
"""


@pytest.mark.parametrize(("normalizes", "is_named"), [(None, False), (False, True)])
def test_large_observations_are_named_unless_the_policy_normalizes_them(
    tmp_path, monkeypatch, normalizes, is_named
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rooms.py").write_text(ROOMS)
    settings = {
        "run": tmp_path / "run",
        "policy.normalize_observations": normalizes,
        "vec.backend": "Serial",
        "vec.num_envs": 2,
        "train.horizon": 32,
        "train.total_timesteps": 12 * 2 * 32,
        "train.minibatches": 1,
        "train.device": "cpu",
        "log.tensorboard": False,
    }
    Run.configure("rooms.py:Rooms", settings).train(Console(quiet=True))
    findings = diagnose_folder(tmp_path / "run").findings
    names = [finding.name for finding in findings]
    assert ("Observations are not normalized" in names) == is_named
