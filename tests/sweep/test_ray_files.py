"""What a trial on another machine needs of Ray's executor, without Ray."""

import os
from pathlib import Path

import pytest

from pufferlib.exceptions import ArgumentError, SettingError
from pufferlib.sweep.config import SweepConfig
from pufferlib.sweep.ray.actor import TrialActor, make_trial_folder, take_cores
from pufferlib.sweep.ray.files import Change, FolderReader, write_changes
from pufferlib.sweep.sources import configured
from pufferlib.sweep.sweep import Sweep


def contents(folder):
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_a_copied_folder_follows_its_original(tmp_path):
    own, copy = tmp_path / "own", tmp_path / "copy"
    (own / "seed-2").mkdir(parents=True)
    metrics = own / "seed-2/metrics.jsonl"
    metrics.write_bytes(b"1\n2\n")
    (own / "checkpoint.pt").write_bytes(b"first")
    (own / ".phase").write_bytes(b"training")
    for name in (".lock", ".checkpoint.pt.17", ".result.json"):  # of the other machine alone
        (own / name).write_bytes(b"x")
    (own / ".cache").mkdir()
    (own / ".cache/big").write_bytes(b"x")
    reader = FolderReader(own)
    kept = {"seed-2/metrics.jsonl", "checkpoint.pt", ".phase"}

    def assert_copied(*, sent):
        changes = reader.changes()
        assert {change.name: change.data for change in changes} == sent
        write_changes(copy, changes)
        assert contents(copy) == {name: contents(own)[name] for name in kept}

    assert_copied(sent={name: contents(own)[name] for name in kept})
    assert_copied(sent={})
    with metrics.open("ab") as file:
        file.write(b"3\n")
    assert_copied(sent={"seed-2/metrics.jsonl": b"3\n"})
    metrics.write_bytes(b"1\n4\n5\n6\n")  # cut back to a checkpoint, and longer by now
    (own / "checkpoint.pt").write_bytes(b"other")
    os.utime(own / "checkpoint.pt", (1, 1))
    assert_copied(sent={"seed-2/metrics.jsonl": b"1\n4\n5\n6\n", "checkpoint.pt": b"other"})


@pytest.mark.parametrize("name", ["../escaped", "a/../../escaped", "/{}/escaped", ""])
def test_a_copied_file_stays_in_its_folder(name, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    changes = [Change("metrics.jsonl", 0, b"1\n"), Change(name.format(tmp_path), 0, b"x")]
    with pytest.raises(ValueError, match="must lie in its folder"):
        write_changes(folder, changes)
    assert contents(tmp_path) == {}


@pytest.mark.parametrize("there", [None, b"1\n", b"1\n2\n3\n4\n"])
def test_a_file_that_missed_a_change_is_sent_whole(there, tmp_path):
    own, copy = tmp_path / "own", tmp_path / "copy"
    for folder in (own, copy):
        folder.mkdir()
    (own / "metrics.jsonl").write_bytes(b"1\n2\n")
    reader = FolderReader(own)
    reader.changes()
    if there is not None:
        (copy / "metrics.jsonl").write_bytes(there)
    before = contents(copy)
    (own / "metrics.jsonl").write_bytes(b"1\n2\n3\n")
    (own / "checkpoint.pt").write_bytes(b"at 3")
    missing = write_changes(copy, reader.changes())
    assert missing == ["metrics.jsonl", "checkpoint.pt"]  # never ahead of its metrics
    assert contents(copy) == before
    reader.forget(missing)
    assert write_changes(copy, reader.changes()) == []
    assert contents(copy) == contents(own)


def test_a_copy_that_is_cut_short_can_be_resumed(tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    for name in ("result.json", "checkpoint.pt", "run.json", "metrics.jsonl"):
        (own / name).write_bytes(name.encode())
    changes = FolderReader(own).changes()
    order = [change.name for change in changes]
    assert order == ["metrics.jsonl", "run.json", "checkpoint.pt", "result.json"]


def test_a_checkpoint_is_read_before_the_metrics_that_reach_as_far(tmp_path, monkeypatch):
    for name in ("metrics.jsonl", "run.json", "checkpoint.pt", "result.json"):
        (tmp_path / name).touch()
    read, read_bytes = [], Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read.append(path.name) or read_bytes(path))
    FolderReader(tmp_path).changes()
    assert read == ["result.json", "checkpoint.pt", "run.json", "metrics.jsonl"]


def test_folders_of_actors_that_were_killed_are_removed(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    kept, lock = make_trial_folder()
    orphan, orphan_lock = make_trial_folder()
    (orphan / "checkpoint.pt").touch()
    os.close(orphan_lock)  # as the end of its process does
    new, new_lock = make_trial_folder()
    assert {path for path in tmp_path.iterdir() if path.is_dir()} == {kept, new}
    for each in (lock, new_lock):
        os.close(each)


@pytest.mark.parametrize("name", ["../escaped", "metrics.jsonl"])
def test_a_trial_that_cannot_begin_leaves_no_folder(name, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    environment = {"A=B": "not a name"}  # which no process can get
    with pytest.raises(ValueError, match=r"must lie in its folder|illegal environment"):
        TrialActor().begin([Change(name, 0, b"x")], 0.5, environment, str(tmp_path))
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == []


def test_trials_on_a_node_have_cores_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    usable = os.sched_getaffinity(0)
    first, locks = take_cores(1)
    assert len(first) == 1
    assert set(first) <= usable
    others, more_locks = take_cores(len(usable) - 1)
    assert set(others) == (usable - set(first) if len(usable) > 1 else set())
    assert take_cores(1) == ((), [])  # none is free
    for lock in (*locks, *more_locks):
        lock.close()
    assert take_cores(0) == ((), [])
    again, locks = take_cores(1)
    assert again == first
    assert take_cores(len(usable) + 1, wait_s=10**6) == ((), [])  # there will never be so many
    for lock in locks:
        lock.close()


def test_a_trial_waits_for_the_cores_of_one_that_was_killed(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    usable = os.sched_getaffinity(0)
    _, locks = take_cores(len(usable))

    def free(seconds):
        while locks:
            locks.pop().close()

    monkeypatch.setattr("pufferlib.sweep.ray.actor.time.sleep", free)
    cores, own = take_cores(len(usable), wait_s=60)
    assert set(cores) == usable
    for lock in own:
        lock.close()


def test_the_log_says_that_a_trial_has_no_cores_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    actor = TrialActor()
    actor.begin([], len(os.sched_getaffinity(0)) + 1, {}, str(tmp_path))
    try:
        _, changes = actor.report(0, [])
    finally:
        actor.kill()
        ending, _ = actor.report(60, [])
    assert ending is not None
    assert b"runs on all of them" in b"".join(each.data for each in changes)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sweep.num_cpus": 2}, r"sweep\.num_cpus has no effect with sweep\.executor local"),
        ({"sweep.executor": "ray", "sweep.num_cpus": 1.5}, r"whole if above 1; got 1\.5"),
        ({"sweep.executor": "ray", "sweep.num_gpus": -1}, r"must be above 0.*got -1"),
        ({"sweep.executor": "slurm"}, "sweep.executor must be .*local.*ray.*slurm"),
    ],
)
def test_settings_that_ray_cannot_use_are_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        Sweep.configure("bandit", settings)


@pytest.mark.parametrize(
    ("before", "given", "now"),
    [
        (("ray", 64, 2, 1), {"executor": "local"}, ("local", None, 1, 0)),
        (("ray", 64, 2, 1), {"jobs": 1, "executor": "local"}, ("local", 1, 1, 0)),
        (("ray", 64, 2, 1), {"executor": "ray"}, ("ray", 64, 2, 1)),
        (("local", 2, 1, 0), {"executor": "ray"}, ("ray", None, 1, 0)),
        (("local", 2, 4, 1), {}, ("local", 2, 1, 0)),  # a preset for either
        (("local", None, 4, 1), {"executor": "ray", "num_gpus": 0}, ("ray", None, 4, 0)),
    ],
)
def test_shares_and_jobs_are_of_one_executor(before, given, now):
    names = ("executor", "jobs", "num_cpus", "num_gpus")
    config = SweepConfig(**dict(zip(names, before, strict=True)))
    found = configured(config, {f"sweep.{name}": value for name, value in given.items()})
    assert tuple(getattr(found, name) for name in names) == now
    found.check()


@pytest.mark.long
def test_a_folder_in_use_is_refused_before_ray_starts(tmp_path, monkeypatch):
    def start():
        raise AssertionError("Ray was started")

    def refuse(folder):
        raise ArgumentError("another process trains in it")

    pytest.importorskip("ray")
    monkeypatch.setattr("pufferlib.sweep.ray.executor.join", start)
    monkeypatch.setattr("pufferlib.sweep.sweep.locked", refuse)
    sweep = Sweep.configure("bandit", {"sweep.executor": "ray", "run": str(tmp_path / "s")})
    with pytest.raises(ArgumentError, match="another process"):
        sweep.run()
