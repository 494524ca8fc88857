"""The folder of a run: its files, its lock, its checkpoints."""

import concurrent.futures
import io
import json
import math
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from importlib.metadata import version

import pytest
import torch
from rich.console import Console
from torch.optim.optimizer import register_optimizer_step_pre_hook

from pufferlib.cli.main import main
from pufferlib.config import Config
from pufferlib.exceptions import ArgumentError, NotFiniteError
from pufferlib.models import Default
from pufferlib.ppo import PPOConfig
from pufferlib.registry.ocean.squared import Squared
from pufferlib.runs import Run
from pufferlib.runs.checkpoints import CheckpointManager
from pufferlib.runs.folder import latest_run, locked, new_folder
from pufferlib.training import Trainer, checkpoint
from pufferlib.training.statistics import EpisodeStatistics
from pufferlib.vector import make

# An update is 128 timesteps.
SMALL = ["--vec.backend", "Serial", "--vec.num-envs", "1", "--env.kwargs.num-agents", "16"]
SMALL += ["--train.horizon", "8", "--train.minibatches", "1", "--train.device", "cpu"]


def squared(folder, *flags, updates=4):
    """Train for some updates; return the exit status."""
    total = ["--train.total-timesteps", str(128 * updates)]
    return main(["train", "squared", *SMALL, *total, "--run", str(folder), *flags])


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return the folder of a run of four updates."""
    folder = tmp_path_factory.mktemp("run") / "squared"
    assert squared(folder) == 0
    return folder


def test_a_run_has_these_files_and_no_others(trained):
    names = {re.sub(r"tfevents\..*", "tfevents", name) for name in os.listdir(trained)}
    kept = {"checkpoint.pt", "best.pt", "config.json", "run.json", "metrics.jsonl", ".lock"}
    assert names == {*kept, "events.out.tfevents"}


def test_a_checkpoint_has_version_and_settings(trained):
    state = checkpoint.load(trained / "checkpoint.pt")
    assert state["version"] == version("pufferlib")
    assert state["config"] == json.loads((trained / "config.json").read_text())
    assert state["config"]["env"]["task"] == "squared"


@pytest.mark.parametrize("text", ["{", "[]", "{}", "\xff"])
def test_damaged_provenance_is_refused_before_anything_starts(
    trained, tmp_path, capsys, monkeypatch, text
):
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    (run / "run.json").write_bytes(text.encode("latin-1"))
    monkeypatch.setattr("pufferlib.runs.train.Trainer", None)  # would be a TypeError
    assert main(["train", "squared", "--resume", str(run)]) == 2
    error = capsys.readouterr().err
    assert f"{run / 'run.json'} cannot be read as the provenance of a run" in error
    assert error.count("\n") == 1


class Returns(EpisodeStatistics):
    """Statistics that a test sets."""

    mean = None

    def means(self):
        return {} if self.mean is None else {"episode_return": self.mean}

    def state_dict(self):
        return {}


class FixedReturns(Trainer):
    """A trainer whose statistics and weights a test sets."""

    set_by_test = Returns()

    @property
    def episodes(self):
        return self.set_by_test

    def weigh(self, value):
        with torch.no_grad():
            next(self.policy.parameters()).fill_(value)


def fixed_returns(config=None):
    vecenv = make(Squared, env_kwargs={"num_agents": 4})
    return FixedReturns(config or PPOConfig(device="cpu"), vecenv, Default(vecenv))


def weight(path):
    return next(iter(checkpoint.load(path)["policy"].values())).flatten()[0].item()


def test_the_best_checkpoint_has_the_highest_return_also_after_a_resume(tmp_path):
    trainer = fixed_returns()
    manager = CheckpointManager(tmp_path, trainer, Config())
    kept = []
    for update, returned in enumerate([None, -3.0, -1.0, -2.0]):
        trainer.set_by_test.mean = returned
        trainer.weigh(update)
        manager.save()
        best = weight(tmp_path / "best.pt") if (tmp_path / "best.pt").exists() else None
        kept.append((weight(tmp_path / "checkpoint.pt"), best))
    assert kept == [(0, None), (1, 1), (2, 2), (3, 2)]
    manager = CheckpointManager(tmp_path, trainer, Config())
    for update, returned, best in ((4, -1.5, 2), (5, 0.5, 5)):
        trainer.set_by_test.mean = returned
        trainer.weigh(update)
        manager.save()
        assert weight(tmp_path / "best.pt") == best


def test_weights_that_are_nan_replace_no_checkpoint(tmp_path):
    trainer = fixed_returns()
    trainer.set_by_test.mean = None
    manager = CheckpointManager(tmp_path, trainer, Config())
    trainer.weigh(1)
    assert manager.save_last()
    trainer.weigh(math.nan)
    assert not manager.save_last()
    assert weight(tmp_path / "checkpoint.pt") == 1


def test_a_reward_of_nan_ends_the_run_and_names_the_checkpoint(tmp_path, capsys, monkeypatch):
    step, steps = Squared.step, []

    def step_to_nan(self, actions):
        steps.append(1)
        observations, rewards, *rest = step(self, actions)
        if len(steps) == 20:  # in the third update
            rewards[3] = math.nan
        return observations, rewards, *rest

    monkeypatch.setattr(Squared, "step", step_to_nan)
    assert squared(tmp_path / "run") == 2
    errors = capsys.readouterr().err
    assert "row 3) gave a reward of nan" in errors
    assert f"{tmp_path}/run/checkpoint.pt was saved before it" in errors
    assert f"--resume {tmp_path}/run" in errors
    assert checkpoint.load(tmp_path / "run" / "checkpoint.pt")["updates"] == 2


@pytest.mark.parametrize("error", [NotFiniteError, ZeroDivisionError])
def test_an_update_that_fails_midway_replaces_no_checkpoint(tmp_path, capsys, error):
    path, steps = tmp_path / "checkpoint.pt", []

    def fail(*_):
        steps.append(1)
        if len(steps) == 2 * 2 + 2:  # of two gradient steps the second, in the third update
            raise error("It diverged")

    flags = ["--train.update-epochs", "2", "--train.checkpoint-interval", "2"]
    hook = register_optimizer_step_pre_hook(fail)
    try:
        if error is NotFiniteError:
            assert squared(tmp_path, *flags) == 2
            message = capsys.readouterr().err
            assert "It diverged in update 3, after 256 timesteps" in message
            assert f"{path} was saved before it" in message
        else:
            with pytest.raises(error, match="It diverged"):
                squared(tmp_path, *flags)
            assert f"Kept {path}" in capsys.readouterr().out
    finally:
        hook.remove()
    saved = checkpoint.load(path)
    assert saved["updates"] == 2
    assert {
        weight["step"].item() for weight in saved["algorithm"]["optimizer"]["state"].values()
    } == {4}
    resume = ["--resume", str(tmp_path), "--train.total-timesteps", str(128 * 3)]
    assert main(["train", "squared", *resume]) == 0  # and continues from there
    assert checkpoint.load(path)["updates"] == 3


def test_a_finished_run_is_left_unchanged(trained, capsys):
    before = {path: path.read_bytes() for path in trained.glob("*.jsonl")}
    assert main(["train", "squared", "--resume", str(trained)]) == 0
    assert f"{trained} is done: 512 timesteps" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in trained.glob("*.jsonl")} == before


def test_resume_without_a_folder_takes_the_latest_run_of_the_task(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "squared", "--resume"]) == 2
    assert "There is no run of squared in runs/ to resume" in capsys.readouterr().err
    for name in ("old", "new", "newest"):
        squared(tmp_path / "runs" / name, updates=1)
    config = tmp_path / "runs" / "newest" / "config.json"
    config.write_text(config.read_text().replace('"squared"', '"bandit"'))  # another task
    for age_s, name in enumerate(("newest", "new", "old")):
        then_s = time.time() - 100 * age_s
        os.utime(tmp_path / "runs" / name / "checkpoint.pt", (then_s, then_s))
    assert latest_run("squared").name == "new"
    assert main(["train", "squared", "--resume", "--train.total-timesteps", "384"]) == 0
    counts = {name: len(lines(tmp_path / "runs" / name)) for name in ("old", "new", "newest")}
    assert counts == {"old": 1, "new": 3, "newest": 1}


def test_a_run_that_could_not_start_leaves_no_folder(tmp_path, capsys):
    assert squared(tmp_path / "run", "--env.kwargs.num-agnts", "3") == 2
    assert "num_agnts" in capsys.readouterr().err
    assert os.listdir(tmp_path) == []


def test_one_process_trains_in_a_folder_and_its_lock_ends_with_it(tmp_path, capsys):
    run = tmp_path / "run"
    flags = ["--run", str(run), "--vec.backend", "Multiprocessing", "--vec.num-envs", "2"]
    flags += ["--vec.num-workers", "2", "--train.checkpoint-interval", "1"]
    command = [sys.executable, "-m", "pufferlib.cli", "train", "squared", *SMALL, *flags]
    process = subprocess.Popen([*command, "--train.total-timesteps", "1000000000"])
    try:
        wait_for_updates(process, run, 3)
        for resume in (["--resume", str(run)], ["--run", str(run)]):
            assert main(["train", "squared", *resume]) == 2
            error = capsys.readouterr().err
            assert f"{run} is in use: process {process.pid} trains in it" in error
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = checkpoint.load(run / "checkpoint.pt")["timesteps"]
    (run / ".checkpoint.pt.1").touch()  # as a kill in the middle of saving leaves it
    more = ["--vec.backend", "Serial", "--train.total-timesteps", str(done + 256)]
    assert main(["train", "squared", "--resume", str(run), *more]) == 0
    assert not list(run.glob(".*.pt.*"))
    updates = [line["updates"] for line in lines(run)]
    assert updates == list(range(1, len(updates) + 1))


def test_a_lock_that_cannot_be_opened_is_refused_with_its_path(tmp_path):
    (tmp_path / ".lock").mkdir()
    refused = f"{tmp_path}/.lock cannot be written: Is a directory. Make the folder writable, or"
    with pytest.raises(ArgumentError, match=re.escape(refused)), locked(tmp_path):
        pass


def test_a_folder_that_is_deleted_during_a_run_does_not_hide_its_error(tmp_path):
    run = tmp_path / "run"
    with pytest.raises(ZeroDivisionError), locked(run):  # noqa: PT012
        shutil.rmtree(run)
        raise ZeroDivisionError


def wait_for_updates(process, run, count):
    metrics, deadline_s = run / "metrics.jsonl", time.monotonic() + 200
    while not (metrics.is_file() and metrics.read_bytes().count(b"\n") >= count):
        assert process.poll() is None
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def without_coverage():
    """Return the environment of a process whose coverage is not measured."""
    return {name: value for name, value in os.environ.items() if "COVERAGE" not in name}


def resume_on_full_disk(run, limit):
    """Resume a run where no file may become longer than `limit` bytes; return the error line."""
    command = [sys.executable, "-m", "pufferlib.cli", "train", "squared", "--resume", str(run)]
    result = subprocess.run(
        [*command, "--train.total-timesteps", "640"],
        capture_output=True,
        text=True,
        timeout=240,
        env=without_coverage(),  # whose own file would not fit either
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    return result.stderr


@pytest.mark.long
def test_a_full_disk_leaves_the_earlier_checkpoints(tmp_path):
    run = tmp_path / "run"
    assert squared(run) == 0
    before = {path: path.read_bytes() for path in run.glob("*.pt")}
    assert len(before) == 2
    limit = len(before[run / "checkpoint.pt"]) // 2
    error = resume_on_full_disk(run, limit)
    assert f"{run}/checkpoint.pt could not be written: File too large." in error
    assert {path: path.read_bytes() for path in run.glob("*.pt*")} == before
    assert not list(run.glob(".*.pt.*"))


@pytest.mark.long
def test_a_run_whose_metrics_cannot_be_written_is_saved_and_ends(tmp_path):
    run = tmp_path / "run"
    assert squared(run) == 0
    metrics = run / "metrics.jsonl"
    checkpoint = run / "checkpoint.pt"
    before = torch.load(checkpoint)["updates"]
    limit = 4 * checkpoint.stat().st_size
    line = metrics.read_text().splitlines()[0] + "\n"
    metrics.write_text(line * (limit // len(line)))
    error = resume_on_full_disk(run, limit)
    assert f"{metrics} could not be written: File too large." in error
    assert torch.load(checkpoint)["updates"] == before + 1


def test_weights_and_biases_without_a_key_is_refused_before_anything_starts(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    assert squared(tmp_path / "run", "--log.wandb", "fish") == 2
    assert "WANDB_API_KEY is not set" in capsys.readouterr().err
    assert os.listdir(tmp_path) == []


@pytest.mark.long
def test_weights_and_biases_writes_into_the_folder_of_the_run(tmp_path):
    flags = [*SMALL, "--train.total-timesteps", "256", "--log.wandb", "fish"]
    flags += ["--log.no-tensorboard", "--run", "run"]
    result = subprocess.run(
        [sys.executable, "-m", "pufferlib.cli", "train", "squared", *flags],
        capture_output=True,
        text=True,
        timeout=240,
        cwd=tmp_path,
        env={**os.environ, "WANDB_MODE": "offline"},
    )
    assert result.returncode == 0, result.stderr
    name = json.loads((tmp_path / "run" / "run.json").read_text())["id"]
    assert len(list((tmp_path / "run" / "wandb").glob(f"offline-run-*/run-{name}.wandb"))) == 1
    assert not list((tmp_path / "run").glob("events*"))


def test_the_parts_of_the_profile_add_up_to_the_wall_time(tmp_path, capsys):
    assert squared(tmp_path / "run", "--profile") == 0
    text = capsys.readouterr().out
    table = text[text.index("wall time of") :].splitlines()[1:]
    seconds = {row.split()[0]: float(row.split()[1]) for row in table}
    assert set(seconds) == {"environment", "copy", "forward", "train", "other", "all"}
    parts = sum(value for name, value in seconds.items() if name != "all")
    assert parts == pytest.approx(seconds["all"], abs=0.03)  # each is rounded to 0.01
    assert seconds["all"] > 0
    shares = [float(row.split()[2].rstrip("%")) for row in table]
    assert sum(shares[:-1]) == pytest.approx(100, abs=0.3)


@pytest.mark.leaves_threads  # bsuite imports pandas, and that PyArrow, whose allocator has one
def test_a_run_of_a_task_with_a_slash_is_found_again(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    flags = ["--vec.backend", "Serial", "--vec.num-envs", "2", "--train.horizon", "8"]
    assert main(["train", "bsuite/catch-v0", *flags, "--train.total-timesteps", "64"]) == 0
    assert latest_run("bsuite/catch-v0").parent.name == "runs"


def test_training_without_time_for_an_update_saves_a_checkpoint(tmp_path, capsys):
    flags = ["--vec.backend", "Serial", "--train.max-seconds", "1e-9"]
    assert main(["train", "squared", *flags, "--run", str(tmp_path / "a")]) == 0
    assert (tmp_path / "a" / "checkpoint.pt").exists()


def test_a_run_whose_algorithm_is_missing_hides_no_other_run(tmp_path):
    for name, algorithm in (("kept", "ppo"), ("moved", str(tmp_path / "moved.py:Config"))):
        (tmp_path / name).mkdir()
        config = {"algorithm": algorithm, "env": {"task": "squared"}}
        (tmp_path / name / "config.json").write_text(json.dumps(config))
        (tmp_path / name / "checkpoint.pt").touch()
    os.utime(tmp_path / "moved" / "checkpoint.pt", (0, 0))
    assert latest_run("squared", tmp_path) == tmp_path / "kept"


def test_two_runs_that_start_in_one_second_have_two_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pufferlib.runs.folder.time.strftime", lambda _: "now")
    for expected in ("squared-now", "squared-now-2", "squared-now-3"):
        folder = new_folder("squared")
        assert folder.name == expected
        folder.mkdir(parents=True)


def test_a_run_trains_outside_the_main_thread(tmp_path):
    settings = {"vec.backend": "Serial", "train.horizon": 8, "env.kwargs.num_agents": 4}
    settings |= {"train.total_timesteps": 64, "train.minibatches": 1, "run": tmp_path / "run"}
    settings |= {"vec.num_envs": 1}
    run = Run.configure("squared", settings)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        path = pool.submit(run.train, Console(file=io.StringIO())).result(timeout=240)
    assert path.is_file()


def test_a_run_that_cannot_start_leaves_no_folders(tmp_path, monkeypatch, capsys):
    (tmp_path / "broken_game.py").write_text("def make_env():\n    raise ValueError('no game')\n")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    for run in ([], ["--run", "mine/runs/first"]):
        flags = ["--vec.backend", "Serial", *run]
        assert main(["train", "broken_game.py:make_env", *flags]) == 2
        assert "no game" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["mine"]
    assert list((tmp_path / "mine").iterdir()) == []
