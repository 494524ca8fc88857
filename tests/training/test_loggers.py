"""A resumed run continues logging from its checkpoint, without logging a step twice."""

import json
import os
import subprocess
import sys

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.summary.writer import event_file_writer

from pufferlib.exceptions import CheckpointError
from pufferlib.training.loggers import RunLog


def log(folder, updates_to_log, value=0.0, **kwargs):
    """Log these updates, of ten timesteps each."""
    log = RunLog(folder, {"seed": 1}, **kwargs)
    for update in updates_to_log:
        log.write({"updates": update, "timesteps": 10 * update, "loss/value": value + update})
    log.close()


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_config_and_one_line_per_update_are_written(tmp_path):
    log(tmp_path / "run", [1, 2])
    assert json.loads((tmp_path / "run" / "config.json").read_text()) == {"seed": 1}
    assert [line["loss/value"] for line in lines(tmp_path / "run")] == [1, 2]
    assert sorted(os.listdir(tmp_path / "run")) == ["config.json", "metrics.jsonl"]


def test_lines_after_the_resumed_checkpoint_are_removed(tmp_path):
    log(tmp_path, [1, 2, 3, 4])
    log(tmp_path, [3, 4, 5], value=0.5, updates=2)
    assert [line["loss/value"] for line in lines(tmp_path)] == [1, 2, 3.5, 4.5, 5.5]


def test_an_incomplete_last_line_is_removed(tmp_path):
    log(tmp_path, [1, 2])
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"updates": 3, "times')
    log(tmp_path, [3], updates=2)
    assert [line["updates"] for line in lines(tmp_path)] == [1, 2, 3]


def test_a_damaged_line_is_named_and_nothing_removed(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"updates": 1}\n{"upda\n{"updates": 3}\n')
    with pytest.raises(CheckpointError, match=r"metrics\.jsonl cannot be read as metrics: line 2 "):
        RunLog(tmp_path, {}, updates=1)
    assert path.read_text() == '{"updates": 1}\n{"upda\n{"updates": 3}\n'


def test_tensorboard_reads_each_step_once(tmp_path, monkeypatch):
    # Files are read in the order of their names, which end with a number: "10" is before "9".
    monkeypatch.setattr(event_file_writer, "_global_uid", event_file_writer.AtomicCounter(0))
    log(tmp_path, [1, 2, 3, 4], tensorboard=True)
    log(tmp_path, [3, 4, 5], value=0.5, updates=2, timesteps=20, tensorboard=True)
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    scalars = [(event.step, event.value) for event in events.Scalars("loss/value")]
    assert scalars == [(10, 1), (20, 2), (30, 3.5), (40, 4.5), (50, 5.5)]


# The file is a log of LevelDB's form: blocks of pieces with a checksum, a length and a kind.
READ_WANDB = """
import json, struct, sys
from wandb.proto import wandb_internal_pb2

data = open(sys.argv[1], "rb").read()
assert data[:4] == b":W&B"
position, whole, history = 7, b"", []
while position + 7 <= len(data):
    _, length, kind = struct.unpack_from("<IHB", data, position)
    whole += data[position + 7 : position + 7 + length]
    position += 7 + length
    if kind in (1, 4):  # all of a record, or its last piece
        record, whole = wandb_internal_pb2.Record.FromString(whole), b""
        if record.WhichOneof("record_type") == "run":
            project, name = record.run.project, record.run.run_id
        if record.WhichOneof("record_type") == "history":
            items = {
                item.key or item.nested_key[0]: json.loads(item.value_json)
                for item in record.history.item
            }
            history.append((items["_step"], items["loss/value"]))
print(json.dumps([project, name, history]))
"""

LOG_TO_WANDB = """
import sys
from pathlib import Path
from test_loggers import log

settings = dict(wandb="fish", run_id="abc123")
log(Path(sys.argv[1]), [1, 2, 3], **settings)
log(Path(sys.argv[1]), [2, 3, 4], value=0.5, updates=1, **settings)
"""


@pytest.mark.long
def test_weights_and_biases_logs_each_step_once_offline(tmp_path):
    def python(code, path):
        return subprocess.run(
            [sys.executable, "-c", code, str(path)],
            capture_output=True,
            text=True,
            timeout=240,
            check=True,
            env={
                **{name: value for name, value in os.environ.items() if "WANDB" not in name},
                "WANDB_MODE": "offline",
                "PYTHONPATH": os.path.dirname(__file__),
            },
        ).stdout

    assert python(LOG_TO_WANDB, tmp_path) == ""
    runs = sorted((tmp_path / "wandb").glob("offline-run-*/run-abc123.wandb"))
    found = [json.loads(python(READ_WANDB, path)) for path in runs]
    assert {(project, name) for project, name, _ in found} == {("fish", "abc123")}
    # What was logged of updates 2 and 3 before the resume stays.
    history = [tuple(point) for _, _, points in found for point in points]
    assert history == [(1, 1.0), (2, 2.0), (3, 3.0), (4, 4.5)]
