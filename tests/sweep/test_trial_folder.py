import json
import os
import time

import pytest

from pufferlib.exceptions import LogError
from pufferlib.sweep import executor
from pufferlib.sweep.loop import attributes_of
from pufferlib.sweep.sweep import _raise_log_error
from pufferlib.sweep.trial_files import note_phase
from pufferlib.sweep.trial_folder import CurveReader, SeedResult, TrialResult, find_stall


def lines(*values):
    return "".join(json.dumps(value) + "\n" for value in values)


def test_a_curve_is_read_as_it_grows(tmp_path):
    reader = CurveReader(tmp_path, "sampled", 100.0)
    assert not reader.update()
    path = tmp_path / "metrics.jsonl"
    first = {"timesteps": 10, "cpu_seconds": 1.0, "eval/sampled_return": 3.0}
    path.write_text(lines({"timesteps": 5}, first))
    os.utime(path, (99.0, 99.0))
    assert not reader.update()  # written before the process was started
    os.utime(path, (101.0, 101.0))
    assert reader.update()
    second = lines({"timesteps": 20, "cpu_seconds": 2.0, "eval/sampled_return": 4.0})
    with path.open("a") as file:
        file.write(second[:9])
    assert not reader.update()
    with path.open("a") as file:
        file.write(second[9:] + lines({"timesteps": 30}))
    assert reader.update()
    assert not reader.update()
    assert reader.curve == [(1.0, 3.0), (2.0, 4.0)]
    assert reader.timesteps == 30


@pytest.mark.parametrize(
    ("is_scoring", "quiet_s", "reason"),
    [
        (False, 50, None),
        (False, 110, "no progress within 100 s"),
        (True, 250, None),
        (True, 310, "no progress within 300 s"),
    ],
)
def test_what_makes_no_progress_is_found(is_scoring, quiet_s, reason, tmp_path):
    now_s = time.time()
    note_phase(tmp_path, is_scoring=is_scoring)
    os.utime(tmp_path / ".phase", (now_s - quiet_s, now_s - quiet_s))
    assert find_stall(tmp_path, now_s - 1000, 100.0) == reason
    (tmp_path / "seed-2").mkdir()
    (tmp_path / "seed-2/metrics.jsonl").touch()
    assert find_stall(tmp_path, now_s - 1000, 100.0) is None


def test_a_trial_that_is_stopped_after_some_seeds_costs_no_less():
    whole = SeedResult(score=1.0, low=0.0, high=2.0, cpu_s=10.0, wall_s=12.0, timesteps=100)
    for count in (1, 3):
        found = attributes_of(TrialResult([whole] * count), [])
        assert found["cpu_s"] == 10.0
        assert found["timesteps"] == 100
        assert found["wall_s"] == 12.0 * count


def test_kills_for_memory_are_counted_also_outside_containers(tmp_path, monkeypatch):
    machine, container = tmp_path / "vmstat", tmp_path / "memory.events"
    monkeypatch.setattr(executor, "_OOM_COUNTS", (container, machine))
    assert executor._oom_kills() == 0
    machine.write_text("pgfault 17\noom_kill 3\n")
    assert executor._oom_kills() == 3
    container.write_text("oom 1\noom_kill 1\n")
    assert executor._oom_kills() == 1


def test_a_trial_finds_the_modules_that_the_sweep_finds(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    paths = executor.python_path().split(os.pathsep)
    assert paths[0] == str(tmp_path)
    assert os.path.dirname(os.path.dirname(pytest.__file__)) not in paths


def test_a_full_disk_ends_a_sweep_with_a_sentence(tmp_path):
    with pytest.raises(LogError, match=r"No space left.*same command"), _raise_log_error(tmp_path):
        raise OSError(28, "No space left on device")
