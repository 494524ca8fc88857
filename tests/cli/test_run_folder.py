"""What a run keeps, who may train in it, and what it was made with."""

import json
import math
import os
import platform
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import time
from importlib.metadata import version

import gymnasium
import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook

from pufferlib.cli import provenance
from pufferlib.cli.main import main
from pufferlib.cli.run_folder import Keeper, latest_run
from pufferlib.config import Config
from pufferlib.exceptions import NotFiniteError
from pufferlib.models import Default
from pufferlib.ppo import TrainConfig, Trainer, checkpoint
from pufferlib.registry.ocean.squared import Squared
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


def test_a_run_keeps_these_files_and_no_others(trained):
    names = {re.sub(r"tfevents\..*", "tfevents", name) for name in os.listdir(trained)}
    kept = {"checkpoint.pt", "best.pt", "config.json", "run.json", "metrics.jsonl", ".lock"}
    assert names == {*kept, "events.out.tfevents"}


def test_a_checkpoint_says_what_made_it(trained):
    state = checkpoint.load(trained / "checkpoint.pt")
    assert state["version"] == version("pufferlib")
    assert state["config"] == json.loads((trained / "config.json").read_text())
    assert state["config"]["env"]["task"] == "squared"


def git(folder, *arguments):
    command = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b"]
    result = subprocess.run([*command, *arguments], capture_output=True, text=True, check=True)
    return result.stdout.strip()


def test_the_commit_is_that_of_the_directory_and_dirty_once_a_file_changed(tmp_path):
    assert provenance.commit(tmp_path) is None
    git(tmp_path, "init")
    (tmp_path / "file").write_text("one")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-m", "first")
    expected = git(tmp_path, "log", "-1", "--format=%H")
    assert provenance.commit(tmp_path) == {"commit": expected, "is_dirty": False}
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "untracked").touch()
    assert provenance.commit(tmp_path)["is_dirty"] is False
    (tmp_path / "file").write_text("two")
    assert provenance.commit(tmp_path) == {"commit": expected, "is_dirty": True}


def test_a_run_says_what_it_was_made_with_and_each_resume_adds_to_it(tmp_path, monkeypatch):
    assert squared(tmp_path / "run") == 0
    first = json.loads((tmp_path / "run" / "run.json").read_text())
    assert first["versions"]["python"] == platform.python_version()
    for name, module in (("torch", torch), ("gymnasium", gymnasium)):
        assert first["versions"][name] == module.__version__
    assert shlex.join(first["command"]) == shlex.join(sys.orig_argv)
    assert first["host"] == platform.node()
    assert 1 <= first["cores"] <= os.cpu_count()
    assert set(first["git"]) == {"directory", "pufferlib"}
    monkeypatch.chdir(tmp_path)
    resume = ["--resume", str(tmp_path / "run"), "--train.total-timesteps", "640"]
    assert main(["train", "squared", *resume]) == 0
    second = json.loads((tmp_path / "run" / "run.json").read_text())
    assert second.pop("resumed")[0]["directory"] == str(tmp_path)
    assert second == first


@pytest.mark.parametrize("text", ["{", "[]", "{}", "\xff"])
def test_what_a_run_was_made_with_is_not_damaged_before_anything_starts(
    trained, tmp_path, capsys, monkeypatch, text
):
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    (run / "run.json").write_bytes(text.encode("latin-1"))
    monkeypatch.setattr("pufferlib.cli.train.Trainer", None)  # would be a TypeError
    assert main(["train", "squared", "--resume", str(run)]) == 2
    error = capsys.readouterr().err
    assert f"{run / 'run.json'} cannot be read as what the run was made with" in error
    assert error.count("\n") == 1


def test_the_family_has_its_version_there():
    from pufferlib.registry import nethack

    assert provenance.facts(nethack.FAMILY)["versions"]["nle"] == version("nle")


class Returns:
    """Statistics that a test makes up."""

    def __init__(self):
        self.mean = None

    def means(self):
        return {} if self.mean is None else {"episode_return": self.mean}

    def state_dict(self):
        return {}


class Keeping(Trainer):
    """A trainer whose episodes a test makes up, and whose weights say which update it is."""

    made_up = Returns()

    @property
    def episodes(self):
        return self.made_up

    def weigh(self, value):
        with torch.no_grad():
            next(self.policy.parameters()).fill_(value)


def keeping(config=None):
    vecenv = make(Squared, env_kwargs={"num_agents": 4})
    return Keeping(config or TrainConfig(device="cpu"), vecenv, Default(vecenv))


def weight(path):
    return next(iter(checkpoint.load(path)["policy"].values())).flatten()[0].item()


def test_the_best_is_the_one_of_highest_return_also_after_a_resume(tmp_path):
    trainer = keeping()
    keeper = Keeper(tmp_path, trainer, Config())
    kept = []
    for update, returned in enumerate([None, -3.0, -1.0, -2.0]):
        trainer.made_up.mean = returned
        trainer.weigh(update)
        keeper.save()
        best = weight(tmp_path / "best.pt") if (tmp_path / "best.pt").exists() else None
        kept.append((weight(tmp_path / "checkpoint.pt"), best))
    assert kept == [(0, None), (1, 1), (2, 2), (3, 2)]
    keeper = Keeper(tmp_path, trainer, Config())
    for update, returned, best in ((4, -1.5, 2), (5, 0.5, 5)):
        trainer.made_up.mean = returned
        trainer.weigh(update)
        keeper.save()
        assert weight(tmp_path / "best.pt") == best


def test_weights_that_are_no_numbers_replace_no_checkpoint(tmp_path):
    trainer = keeping()
    trainer.made_up.mean = None
    keeper = Keeper(tmp_path, trainer, Config())
    trainer.weigh(1)
    assert keeper.save_last()
    trainer.weigh(math.nan)
    assert not keeper.save_last()
    assert weight(tmp_path / "checkpoint.pt") == 1


def test_a_reward_that_is_no_number_ends_the_run_and_names_the_checkpoint(
    tmp_path, capsys, monkeypatch
):
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
            raise error("It diverged.")

    flags = ["--train.update-epochs", "2", "--train.checkpoint-interval", "2"]
    hook = register_optimizer_step_pre_hook(fail)
    try:
        if error is NotFiniteError:
            assert squared(tmp_path, *flags) == 2
            assert f"It diverged. {path} was saved before it" in capsys.readouterr().err
        else:
            with pytest.raises(error, match="It diverged"):
                squared(tmp_path, *flags)
            assert f"Left {path}" in capsys.readouterr().out
    finally:
        hook.remove()
    saved = checkpoint.load(path)
    assert saved["updates"] == 2
    assert {weight["step"].item() for weight in saved["optimizer"]["state"].values()} == {4}
    resume = ["--resume", str(tmp_path), "--train.total-timesteps", str(128 * 3)]
    assert main(["train", "squared", *resume]) == 0  # and goes on from there
    assert checkpoint.load(path)["updates"] == 3


def test_a_run_that_is_done_is_left_as_it_is(trained, capsys):
    before = {path: path.read_bytes() for path in trained.glob("*.jsonl")}
    assert main(["train", "squared", "--resume", str(trained)]) == 0
    assert f"{trained} is done: 512 timesteps" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in trained.glob("*.jsonl")} == before


def test_resume_without_a_folder_takes_the_latest_run_of_the_task(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "squared", "--resume"]) == 2
    assert "There is no run of squared in runs/ to go on with" in capsys.readouterr().err
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


def test_nothing_is_left_of_a_run_that_could_not_begin(tmp_path, capsys):
    assert squared(tmp_path / "run", "--env.kwargs.num-agnts", "3") == 2
    assert "num_agnts" in capsys.readouterr().err
    assert os.listdir(tmp_path) == []


@pytest.mark.timeout(120)
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


def wait_for_updates(process, run, count):
    metrics, deadline_s = run / "metrics.jsonl", time.monotonic() + 60
    while not (metrics.is_file() and metrics.read_bytes().count(b"\n") >= count):
        assert process.poll() is None
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def resume_on_full_disk(run, limit):
    """Resume a run that cannot, and return its error line: no file may get longer than `limit`."""
    command = [sys.executable, "-m", "pufferlib.cli", "train", "squared", "--resume", str(run)]
    result = subprocess.run(
        [*command, "--train.total-timesteps", "640"],
        capture_output=True,
        text=True,
        timeout=80,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    return result.stderr


@pytest.mark.timeout(90)
def test_a_disk_that_is_full_leaves_the_earlier_checkpoints(tmp_path):
    run = tmp_path / "run"
    assert squared(run) == 0
    before = {path: path.read_bytes() for path in run.glob("*.pt")}
    assert len(before) == 2
    limit = len(before[run / "checkpoint.pt"]) // 2
    error = resume_on_full_disk(run, limit)
    assert f"{run}/checkpoint.pt could not be written: File too large." in error
    assert {path: path.read_bytes() for path in run.glob("*.pt*")} == before
    assert not list(run.glob(".*.pt.*"))


@pytest.mark.timeout(90)
def test_metrics_that_find_no_room_end_a_run_that_is_saved(tmp_path):
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


@pytest.mark.timeout(90)
def test_weights_and_biases_is_told_where_the_run_is(tmp_path):
    flags = [*SMALL, "--train.total-timesteps", "256", "--log.wandb", "fish"]
    flags += ["--log.no-tensorboard", "--run", "run"]
    result = subprocess.run(
        [sys.executable, "-m", "pufferlib.cli", "train", "squared", *flags],
        capture_output=True,
        text=True,
        timeout=80,
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


def test_a_run_of_a_task_with_a_slash_is_found_again(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    flags = ["--vec.backend", "Serial", "--vec.num-envs", "2", "--train.horizon", "8"]
    assert main(["train", "bsuite/catch-v0", *flags, "--train.total-timesteps", "64"]) == 0
    assert latest_run("bsuite/catch-v0").parent.name == "runs"


def test_a_training_without_time_for_an_update_tells_nothing_of_it(tmp_path, capsys):
    flags = ["--vec.backend", "Serial", "--train.max-seconds", "1e-9"]
    assert main(["train", "squared", *flags, "--run", str(tmp_path / "a")]) == 0
    assert (tmp_path / "a" / "checkpoint.pt").exists()
