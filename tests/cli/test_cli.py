"""The command line, as a user runs it."""

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import pytest
from torch.optim.optimizer import register_optimizer_step_pre_hook

from pufferlib import registry
from pufferlib.cli.main import main
from pufferlib.exceptions import CheckpointError
from pufferlib.runs.folder import read_config
from pufferlib.training import checkpoint

PARALLEL = ["--vec.backend", "Multiprocessing"]
SHORT = ["--train.total-timesteps", "8192", "--vec.backend", "Serial"]


def puffer(*arguments, timeout=240, **kwargs):
    return subprocess.run(
        [sys.executable, "-m", "pufferlib.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, "COLUMNS": "200"},
        **kwargs,
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return the folder of a short run on Squared."""
    folder = tmp_path_factory.mktemp("run") / "squared"
    result = puffer("train", "squared", *SHORT, "--run", str(folder), "--train.seed", "5")
    assert result.returncode == 0, result.stderr
    return folder


def test_training_leaves_config_metrics_and_checkpoint(trained):
    config = json.loads((trained / "config.json").read_text())
    expected = {"task": "squared", "kwargs": {"num_agents": 64}, "curriculum": None}
    assert config["env"] == expected
    assert (config["train"]["seed"], config["train"]["total_timesteps"]) == (5, 8192)
    metrics = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    assert [line["timesteps"] for line in metrics] == [2048, 4096, 6144, 8192]
    assert {"loss/policy", "episode/score", "steps_per_second"} <= set(metrics[-1])
    assert (trained / "checkpoint.pt").is_file()


@pytest.mark.long
@pytest.mark.learn
def test_squared_is_solved_by_puffer_train(tmp_path):
    # A random walk scores about 0.01: it hits the target in its three moves once in 110 games.
    assert puffer("train", "squared", "--run", str(tmp_path)).returncode == 0
    last = (tmp_path / "metrics.jsonl").read_text().splitlines()[-1]
    assert json.loads(last)["episode/score"] > 0.95


def test_evaluation_shows_both_policies_and_replays_an_episode(trained):
    result = puffer("eval", "squared", "--checkpoint", str(trained / "checkpoint.pt"), "--render")
    assert result.returncode == 0, result.stderr
    assert "squared, return of 64 episodes" in result.stdout
    for word in ("random", "sampled", "greedy", "@", "step 2", "\nReplayed 3 steps; return "):
        assert word in result.stdout


@pytest.mark.long
def test_evaluation_finds_the_latest_run_of_the_task(trained, tmp_path):
    shown = puffer("eval", "squared", cwd=tmp_path).stdout
    assert shown.startswith("No checkpoint of squared in runs/; evaluating the random policy only")
    runs = tmp_path / "runs"
    for name, age_s in (("old", 100), ("new", 10)):
        shutil.copytree(trained, runs / name)
        then_s = time.time() - age_s
        os.utime(runs / name / "checkpoint.pt", (then_s, then_s))
    result = puffer("eval", "squared", "--episodes", "4", cwd=tmp_path)
    assert result.stdout.startswith("Checkpoint: runs/new/checkpoint.pt")
    assert "greedy" in result.stdout


def test_a_run_is_resumed_from_its_folder(trained):
    result = puffer(
        "train", "squared", "--resume", str(trained), "--train.total-timesteps", "12288"
    )
    assert result.returncode == 0, result.stderr
    lines = (trained / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["timesteps"] for line in lines[-2:]] == [10240, 12288]
    assert json.loads((trained / "config.json").read_text())["train"]["seed"] == 5


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
def test_a_signal_saves_the_last_update_before_it_ends_the_run(tmp_path, number):
    folder = tmp_path / "run"
    arguments = ["train", "squared", "--run", str(folder), "--vec.backend", "Multiprocessing"]
    arguments += ["--train.checkpoint-interval", "1000000"]
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "pufferlib.cli",
            *arguments,
            "--train.total-timesteps",
            "1000000000",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    metrics = folder / "metrics.jsonl"
    try:
        deadline_s = time.monotonic() + 200
        while not (metrics.is_file() and metrics.read_bytes().count(b"\n") >= 2):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
        process.send_signal(number)
        _, errors = process.communicate(timeout=240)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 130
    assert "Traceback" not in errors
    last = json.loads(metrics.read_text().splitlines()[-1])
    saved = checkpoint.load(folder / "checkpoint.pt")
    assert (saved["updates"], saved["timesteps"]) == (last["updates"], last["timesteps"])
    assert saved["updates"] >= 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
def test_a_signal_in_the_middle_of_an_update_waits_for_its_end(tmp_path, number):
    steps = []

    def interrupt(*_):
        steps.append(1)
        if len(steps) == 4 + 2:  # of four gradient steps the second, in the second update
            signal.raise_signal(number)

    flags = ["--train.minibatches", "2", "--train.update-epochs", "2"]
    hook = register_optimizer_step_pre_hook(interrupt)
    try:
        assert main(["train", "squared", *SHORT, *flags, "--run", str(tmp_path)]) == 130
    finally:
        hook.remove()
    (line,) = (tmp_path / "metrics.jsonl").read_text().splitlines()[1:]
    saved = checkpoint.load(tmp_path / "checkpoint.pt")
    assert saved["updates"] == json.loads(line)["updates"] == 2
    assert {
        weight["step"].item() for weight in saved["algorithm"]["optimizer"]["state"].values()
    } == {8}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["train", "nethak"], "no environment 'nethak'. Did you mean 'nethack'"),
        (["test", "cartpole-v1"], "Did you mean 'CartPole-v1'"),
        (["envs", "ocan"], "Did you mean 'ocean'"),
        (["train", "squared", "--run", "/proc/run"], "/proc/run cannot be created"),
        (
            ["train", "bandit", *PARALLEL, "--env.kwargs.num-actions", "1"],
            "puffer train: num_actions must be a whole number of at least 2; got 1",
        ),
        (
            ["train", "squared", "--env.kwargs.config", "{1, 2}"],
            "env.kwargs.config must be a JSON value (numbers, strings, lists, and dicts whose keys "
            "are strings), as a run's settings are kept in config.json; got {1, 2}.",
        ),
        (["train", "squared", "--env.kwargs.config", "{'a': 5, 1: 2}"], "got {'a': 5, 1: 2}"),
        (["train", "squared", "--train.seed", "-1"], "train.seed must be a whole number from 0 to"),
        (["train", "squared", "--train.seed", str(2**64)], f"to {2**63 - 1}; got {2**64}"),
        (["eval", "squared", "--seed", "-1"], "seed must be a whole number from 0 to"),
        (["eval", "squared", "--seed", "9" * 20], f"to {2**63 - 1}; got {'9' * 20}"),
        (["eval", "squared", "--train.threads", "-1"], "train.threads must be at least 1; got -1"),
        (["envs", "--gallery", __file__], f"{__file__} cannot be created: File exists"),
        (
            ["envs", "--gallery", f"{__file__}/a"],
            f"{__file__}/a cannot be created: Not a directory",
        ),
        (["install", "nethak"], "nothing named 'nethak' to install. Did you mean 'nethack'"),
        (["install", "CartPole-v9"], "Did you mean 'CartPole-v1'"),
        (["install", "nethack", "--constraint", "no.txt"], "no constraint file no.txt"),
        (["eval", "squared", "--episodes", "1"], "episodes must be at least 2"),
        (["eval", "squared", "--checkpoint", "none/c.pt"], "There is no checkpoint none/c.pt"),
        (["eval", "runs/c.pt"], "puffer eval ENV --checkpoint runs/c.pt"),
        (["train", "squared", "--train.horizon", "0"], "train.horizon must be at least 1; got 0"),
        (["train", "squared", "--train.device", "tpu"], "must be one of auto, cpu"),
        (["train", "squared", "--policy.hidden-size", "0"], "hidden_size must be at least 1; got"),
        (["train", "squared", "--eval.episodes", "0"], "eval.episodes must be at least 1; got 0"),
        (["train", "squared", "--eval.share", "2"], "eval.share must lie within [0, 1]; got 2.0"),
        (["train", "squared", "--eval.seed", "-1"], "eval.seed must be a whole number from 0 to"),
        (["train", "squared", "--eval.seed", "3"], "eval.seed must be at least 100,000 from"),
        (
            ["train", "squared", "--eval.share", "0", "--eval.seed", "9"],
            "eval.seed has no effect with eval.share 0",
        ),
        (["train", "squared", "--run", __file__], "run must be a folder"),
        (["train", "squared", "--run", f"{__file__}/a/b"], "run must be a folder"),
        (["train", "squared", "--policy.memory", "lstm", "--train.device", "cuda:99"], "'cuda:99'"),
        (["train", "squared", "--policy.memory", "rnn"], "must be 'none' or 'lstm' or 'gru'; got"),
        (["bench", "squared", "--rounds", "0"], "--rounds must be at least 1"),
        (["bench", "squared", "--seconds", "0"], "--seconds above 0; got 5 and 0"),
        (["bench", "squared", "--seconds", "nan"], "--seconds above 0; got 5 and nan"),
        (["bench", "squared", "--seconds", "inf"], "--seconds above 0; got 5 and inf"),
        (["bench", "squared", "--num-envs", "0"], "num_envs must be"),
        (["train", "all", "--run", "here"], "--run applies to one run, but ENV is 'all'"),
        (["train", "all", "--resume", "here"], "--resume applies to one run, but ENV is 'all'"),
        (["eval", "all", "--checkpoint", "c.pt"], "--checkpoint applies to one run, but ENV"),
        (
            ["train", "squared", "--env.kwargs.num-agnts", "3"],
            "unexpected keyword argument 'num_agnts'",
        ),
        (
            ["train", "squared", *PARALLEL, "--vec.num-envs", "10", "--vec.num-workers", "4"],
            "num_envs must be a multiple of num_workers; got num_envs=10, num_workers=4",
        ),
    ],
)
def test_a_mistake_is_one_clear_line(capsys, arguments, expected):
    assert main(arguments) == 2
    errors = capsys.readouterr().err
    assert expected in errors
    assert errors.startswith(f"puffer {arguments[0]}: ")
    assert errors.count("\n") == 1


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("config.json", "is a run or a checkpoint. Name its environment, too"),
        ("seeds.json", "is a run or a checkpoint. Name its environment, too"),
        ("notes.txt", "There is no environment"),
    ],
)
def test_a_run_is_not_taken_for_an_environment(tmp_path, capsys, file, expected):
    (tmp_path / file).touch()
    assert main(["eval", str(tmp_path)]) == 2
    assert expected in capsys.readouterr().err


ARCHITECTURE = "another architecture"


def test_a_checkpoint_of_another_network_is_refused_before_any_process(
    trained, tmp_path, capsys, monkeypatch
):
    # To call None would be a TypeError.
    monkeypatch.setattr("pufferlib.vector.processes.backend.ProcessWorkers", None)
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    config = json.loads((run / "config.json").read_text())
    config["policy"]["hidden_size"] = 8
    (run / "config.json").write_text(json.dumps(config))
    parallel = ["--vec.backend", "Multiprocessing"]
    other = ["train", "squared", "--resume", str(trained), "--policy.hidden-size", "8", *parallel]
    for arguments, expected in (
        (["eval", "squared", "--checkpoint", str(run / "checkpoint.pt"), *parallel], ARCHITECTURE),
        (["train", "squared", "--resume", str(run), *parallel], ARCHITECTURE),
        (other, "policy.hidden_size cannot change within a run"),
    ):
        assert main(arguments) == 2
        captured = capsys.readouterr()
        assert expected in captured.err
        assert "random" not in captured.out


def test_a_run_of_another_environment_is_refused(trained, capsys):
    for arguments in (
        ["eval", "CartPole-v1", "--checkpoint", str(trained / "checkpoint.pt")],
        ["train", "CartPole-v1", "--resume", str(trained)],
    ):
        assert main(arguments) == 2
        assert "made with squared, the environment given is CartPole-v1" in capsys.readouterr().err


def test_a_folder_that_holds_a_run_is_refused(trained, capsys):
    assert main(["train", "squared", "--run", str(trained)]) == 2
    assert f"already holds a run. Continue it with --resume {trained}" in capsys.readouterr().err


def test_damaged_settings_are_refused_or_skipped(tmp_path, monkeypatch, capsys):
    run = tmp_path / "runs" / "damaged"
    run.mkdir(parents=True)
    (run / "config.json").write_text("{")
    (run / "checkpoint.pt").touch()
    monkeypatch.chdir(tmp_path)
    assert main(["train", "squared", "--resume", str(run)]) == 2
    assert "cannot be read as settings" in capsys.readouterr().err
    assert main(["eval", "squared", "--episodes", "2"]) == 0
    assert "No checkpoint of squared in runs/" in capsys.readouterr().out


def test_a_missing_or_damaged_checkpoint_is_refused_before_any_process(trained, tmp_path, capsys):
    run = tmp_path / "run"
    run.mkdir()
    shutil.copy(trained / "config.json", run)
    for content, expected in ((None, "There is no checkpoint"), (b"no", "cannot be read as")):
        if content is not None:
            (run / "checkpoint.pt").write_bytes(content)
        for arguments in (
            ["eval", "squared", "--checkpoint", str(run / "checkpoint.pt")],
            ["train", "squared", "--resume", str(run)],
        ):
            assert main([*arguments, "--vec.backend", "Multiprocessing"]) == 2
            captured = capsys.readouterr()
            assert expected in captured.err
            assert "random" not in captured.out
            assert multiprocessing.active_children() == []


@pytest.mark.parametrize("text", ["[]", "3", "{", "\xff"])
def test_settings_that_are_not_a_json_object_are_refused(tmp_path, text):
    (tmp_path / "config.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(CheckpointError, match="cannot be read as settings"):
        read_config(tmp_path)


def test_a_run_is_resumed_in_its_own_folder_only(trained, tmp_path, capsys):
    assert main(["train", "squared", "--resume", str(trained), "--run", str(tmp_path)]) == 2
    assert "continues there; got the folder" in capsys.readouterr().err


def test_a_run_is_evaluated_on_a_machine_without_its_device(trained, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    config = json.loads((run / "config.json").read_text())
    config["train"]["device"] = "cuda:99"
    (run / "config.json").write_text(json.dumps(config))
    flags = ["--checkpoint", str(run / "checkpoint.pt"), "--episodes", "2"]
    assert main(["eval", "squared", *flags]) == 0
    assert "greedy" in capsys.readouterr().out


def test_an_environment_takes_arguments_that_are_in_no_preset(tmp_path):
    flags = ["--vec.backend", "Serial", "--vec.num-envs", "2", "--train.horizon", "64"]
    flags += ["--train.total-timesteps", "128", "--env.kwargs.max-episode-steps", "5"]
    assert main(["train", "CartPole-v1", *flags, "--run", str(tmp_path / "run")]) == 0
    metrics = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-1])
    # CartPole falls after 8 steps at the earliest, so all are cut off at the fifth.
    assert metrics["episode/episode_length"] == 5
    assert read_config(tmp_path / "run").env.kwargs == {"max_episode_steps": 5}


def test_a_folder_that_is_not_a_run_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"has no config\.json"):
        read_config(tmp_path)


def test_envs_lists_every_family_and_the_tasks_of_one(capsys):
    assert main(["envs"]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in registry.families())
    assert main(["envs", "nethack"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert set(registry.load("nethack").FAMILY.tasks) <= set(lines)


def test_envs_of_a_task_lists_its_family(capsys):
    assert main(["envs", "CartPole-v1"]) == 0
    assert "Pendulum-v1" in capsys.readouterr().out.splitlines()


def test_the_documentation_of_a_family_fits_the_terminal(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "1000")
    assert main(["envs", "open_spiel"]) == 0
    lines = capsys.readouterr().out.splitlines()
    (observations,) = (line for line in lines if line.startswith("Observations: "))
    assert observations.endswith("1 to 5 agents.")
    assert "Install: make install ENV=open_spiel" in lines


def test_a_table_of_the_documentation_is_a_table_in_the_terminal(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["envs", "ocean"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert not any("|" in line or "…" in line for line in lines)
    (heading,) = (line for line in lines if line.startswith("task "))
    (row,) = (line for line in lines if line.startswith("memory "))
    assert heading.split() == ["task", "asks", "random", "optimal"]
    assert row.split()[:3] == ["memory", "does", "a"]
    assert row.split()[-2:] == ["0.25", "1"]


def test_the_version_is_that_of_the_package(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"pufferlib {version('pufferlib')}\n"


SAMPLES = {"ocean": "squared", "classic_control": "Acrobot-v1"}


@pytest.mark.long
def test_every_command_takes_all_and_ends_with_one_table(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("pufferlib.registry.installed_samples", lambda: SAMPLES)
    small = ["--vec.num-envs", "2", "--vec.backend", "Serial", "--train.horizon", "8"]
    for arguments in (
        ["bench", "all", "--rounds", "1", "--seconds", "0.02", "--num-envs", "2"],
        ["train", "all", *small, "--train.total-timesteps", "64"],
        ["eval", "all", "--episodes", "2"],
    ):
        assert main(arguments) == 0
        heading, *rows = capsys.readouterr().out.splitlines()[-3:]
        assert heading.startswith("environment")
        assert [row.split()[0] for row in rows] == list(SAMPLES)
        assert all("passed" in row for row in rows)


@pytest.mark.long
def test_the_throughput_of_all_is_written_into_a_document(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("pufferlib.registry.installed_samples", lambda: SAMPLES)
    small = ["--rounds", "1", "--seconds", "0.02", "--num-envs", "2"]
    document = tmp_path / "speed.md"
    assert main(["bench", "all", *small, "--table", str(document)]) == 2
    assert "<!-- bench all: begin -->" in capsys.readouterr().err
    assert main(["bench", "Acrobot-v1", "--table", str(document)]) == 2
    assert "--table applies to all environments" in capsys.readouterr().err
    document.write_text("Before\n<!-- bench all: begin -->\nold\n<!-- bench all: end -->\nAfter\n")
    for _ in range(2):  # the second time it is replaced
        assert main(["bench", "all", *small, "--table", str(document)]) == 0
        lines = document.read_text().splitlines()
        assert (lines[0], lines[-1]) == ("Before", "After")
        assert "old" not in lines
        rows = [line.split("|")[1].strip() for line in lines if line.startswith("|")]
        assert rows == ["environment", "---", *SAMPLES]
        assert all("(1.00) |" in line for line in lines if line.startswith(("| ocean", "| cla")))


def test_the_doctor_finds_no_problem_and_has_a_brief_form(capsys):
    assert main(["doctor"]) == 0
    text = capsys.readouterr().out
    for word in ("torch", "GPU", "cores", "shared memory", "nethack", "numpy"):
        assert word in text
    assert main(["doctor", "--brief"]) == 0
    assert len(capsys.readouterr().out.splitlines()) <= 3


def test_the_doctor_names_the_faults_of_a_run(tmp_path, capsys):
    run = tmp_path / "run"
    flags = {"--train.learning-rate": 0.3, "--train.total-timesteps": 40_000, "--run": run}
    words = [str(word) for flag in flags.items() for word in flag]
    assert main(["train", "squared", "--log.no-tensorboard", *words]) == 0
    capsys.readouterr()
    assert main(["doctor", str(run)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "fault · evidence · what to change"
    fault, evidence, change = lines[1].split(" · ")
    assert fault == "Learning rate too high"
    assert evidence.startswith("KL divergence of ")
    assert change.startswith("--train.learning-rate 0.075")


def test_the_doctor_says_what_it_cannot_judge_or_read(tmp_path, capsys):
    (tmp_path / "config.json").write_text("{}")
    record = {"timesteps": 1, "updates": 1, "learning_rate": 1e-3, "loss/approximate_kl": 0.01}
    (tmp_path / "metrics.jsonl").write_text((json.dumps(record) + "\n") * 10)  # of earlier runs
    assert main(["doctor", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert text.startswith("Not judged: Episodes never end, ")
    assert "Learning rate too high" not in text
    assert "lack loss/entropy, loss/explained_variance, " in text
    assert text.endswith("No other faults found.\n")
    assert main(["doctor", str(tmp_path), "--brief"]) == 2
    assert "--brief is for the report on this machine" in capsys.readouterr().err
    assert main(["doctor", str(tmp_path / "none")]) == 2
    assert "is not the folder of a run" in capsys.readouterr().err


def test_the_makefile_helps_with_every_target():
    root = Path(__file__).parents[2]
    result = subprocess.run(
        ["make", "help"], cwd=root, capture_output=True, text=True, timeout=240, check=True
    )
    for target in ("demo", "test", "install", "test-env", "bench-env", "train", "eval", "check"):
        assert f"make {target} " in result.stdout


@pytest.mark.parametrize("target", ["test-env", "bench-env", "train", "eval"])
def test_make_installs_a_named_environment_and_none_for_all(target, tmp_path):
    def commands(env, target):
        result = subprocess.run(
            ["make", "-n", target, f"ENV={env}", f"VENV={tmp_path}"],
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            timeout=240,
            check=True,
        )
        return result.stdout

    assert "constraints.txt nethack" in commands("nethack", target)
    assert "constraints.txt all" not in commands("all", target)
    assert "constraints.txt all" in commands("all", "install")
