"""A run from Python: settings, environments, policy, training and evaluation from one object."""

import json
import pickle
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import torch
from rich.console import Console

from pufferlib import registry, vector
from pufferlib.cli.main import main
from pufferlib.config import Config
from pufferlib.exceptions import (
    ArgumentError,
    CheckpointError,
    NotInstalledError,
    SettingError,
    UnknownNameError,
)
from pufferlib.models import Default, LSTMWrapper
from pufferlib.ppo import PPOConfig
from pufferlib.runs import Run
from pufferlib.runs.folder import read_config
from pufferlib.training import Trainer

GAME = """
import gymnasium
import numpy as np

class Game(gymnasium.Env):
    \"\"\"Pays `wage` for action 1; observes its step.\"\"\"

    def __init__(self, wage=1.0, steps=4):
        self.wage, self.steps = wage, steps
        self.observation_space = gymnasium.spaces.Box(0, 100, (4,), np.float32)
        self.action_space = gymnasium.spaces.Discrete(2)

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        self.now = 0
        return self._seen(), {}

    def step(self, action):
        self.now += 1
        return self._seen(), self.wage * float(action), self.now == self.steps, False, {}

    def _seen(self):
        return np.full(4, self.now, np.float32)
"""
SMALL = {
    "vec.backend": "Serial",
    "vec.num_envs": 2,
    "train.horizon": 8,
    "train.total_timesteps": 64,
    "train.device": "cpu",
    "train.minibatches": 2,
}
QUIET = Console(quiet=True)
ALGORITHM = """
from dataclasses import dataclass
from pufferlib.ppo import PPOConfig

@dataclass(frozen=True)
class Mine(PPOConfig):
    algorithm = "mine"
    patience: int = 3
"""


@pytest.fixture
def game(tmp_path):
    """Return the name of an environment in a file."""
    folder = tmp_path / "made"
    folder.mkdir()
    (folder / "game_of_run.py").write_text(GAME)
    return f"{folder}/game_of_run.py:Game"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return the folder of a short run on Squared with an LSTM."""
    folder = tmp_path_factory.mktemp("run") / "squared"
    settings = {**SMALL, "env.kwargs.num_agents": 4, "policy.memory": "lstm", "run": folder}
    assert Run.configure("squared", settings).train(QUIET) == folder / "checkpoint.pt"
    return folder


def test_a_run_makes_environments_and_a_policy_from_its_settings(game):
    run = Run.configure(game, {**SMALL, "env.kwargs.steps": 3, "policy.hidden_size": 16})
    with closing(run.make_vecenv()) as vecenv:
        assert vecenv.num_envs == 2
        policy = run.make_policy(vecenv)
        heads, value = policy(torch.tensor(vecenv.reset(0)[0]))
    assert (heads.shape, value.shape, policy.hidden_size) == ((2, 2), (2, 1), 16)
    with closing(run.make_vecenv(num_envs=5)) as vecenv:
        assert vecenv.num_envs == 5
    with closing(run.creator()()) as env:
        assert env.single_observation_space.shape == (4,)


def test_another_number_of_environments_takes_as_many_workers_as_divide_it(game):
    parallel = {"vec.backend": "Multiprocessing", "vec.num_envs": 4, "vec.num_workers": 2}
    run = Run.configure(game, {**parallel, "vec.batch_size": 2})
    with closing(run.make_vecenv(num_envs=3)) as vecenv:
        assert (vecenv.num_envs, vecenv.batch_size) == (3, 3)
    one = run.in_this_process()
    assert (one.config.vec.backend, one.config.vec.num_envs) == ("Serial", 1)
    assert run.config.vec.backend == "Multiprocessing"


def test_a_run_can_be_pickled(game):
    run = Run.configure(game, {**SMALL, "env.kwargs.steps": 3})
    again = pickle.loads(pickle.dumps(run))
    assert (again.config, again.given, again.source) == (run.config, run.given, run.source)


def test_arguments_given_are_known_from_those_of_presets():
    run = Run.configure("squared", {"env.kwargs.distance_to_target": 2, "train.seed": 3})
    assert run.config.env.kwargs == {"num_agents": 64, "distance_to_target": 2}
    assert run.given_kwargs == {"distance_to_target": 2}
    assert run.given == {"env.kwargs.distance_to_target", "train.seed"}
    assert Run.configure("squared").given_kwargs == {}
    assert Run.configure("squared", {"env.kwargs": {"a": 1}}).given_kwargs == {"a": 1}
    assert Run.configure("squared", {"env.kwargs.a.b": 1}).given_kwargs == {"a": {"b": 1}}


def test_a_wrong_environment_suggests_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean 'squared'"):
        Run.configure("sqared")


def test_a_trained_run_is_opened_evaluated_and_resumed(trained, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(trained, folder)
    run = Run.open(folder)
    assert (run.resumes, run.config.run, run.given) == (True, folder, set())
    results = run.evaluate(folder / "checkpoint.pt", episodes=8)
    assert set(results) == {"random", "sampled", "greedy"}
    assert len(results["sampled"].returns) == 8
    assert set(run.evaluate(None, episodes=8)) == {"random"}
    with closing(run.make_vecenv()) as vecenv:
        policy = run.load_policy(vecenv, folder / "checkpoint.pt")
    assert type(policy) is LSTMWrapper
    assert Run.open(folder, {"train.total_timesteps": 128}).train(QUIET).exists()
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["timesteps"] for line in lines] == [64, 128]


def test_a_checkpoint_outside_of_its_folder_is_evaluated_with_the_settings_in_it(
    trained, tmp_path, monkeypatch
):
    path = Path(shutil.copy(trained / "best.pt", tmp_path / "copied.pt"))
    monkeypatch.chdir(tmp_path)
    run = Run.open(path)
    assert run.config.policy == Run.open(trained).config.policy
    assert (run.config.run, run.resumes) == (None, False)
    expected = Run.open(trained).evaluate(trained / "best.pt", episodes=4)["sampled"].returns
    assert run.evaluate(path, episodes=4)["sampled"].returns.tolist() == expected.tolist()
    assert main(["eval", "squared", "--checkpoint", str(path), "--episodes", "2"]) == 0


def test_a_checkpoint_without_settings_says_where_they_are(tmp_path, capsys):
    vecenv = vector.make(registry.resolve("squared").make_env, num_envs=2)
    trainer = Trainer(PPOConfig(horizon=8, minibatches=1), vecenv, Default(vecenv))
    trainer.save(tmp_path / "alone.pt")
    with pytest.raises(CheckpointError, match="does not contain the settings of a run"):
        Run.open(tmp_path / "alone.pt")
    assert main(["train", "squared", "--resume", str(tmp_path / "alone.pt")]) == 2
    assert "needs the folder of a run; " in capsys.readouterr().err


def test_evaluation_uses_the_threads_of_the_run_and_restores_them(trained):
    before = torch.get_num_threads()
    Run.open(trained, {"train.threads": 2}).evaluate(trained / "checkpoint.pt", episodes=2)
    assert torch.get_num_threads() == before


def test_another_architecture_is_refused(trained):
    run = Run.open(trained, {"env.kwargs.distance_to_target": 2})  # a larger map is seen
    with pytest.raises(CheckpointError, match="another architecture"):
        run.check_checkpoint(trained / "checkpoint.pt")
    with pytest.raises(CheckpointError, match="another architecture"):
        run.train(QUIET)


def test_a_run_stays_in_its_folder_and_environment(trained, tmp_path):
    with pytest.raises(ArgumentError, match=r"continues there; got the folder elsewhere"):
        Run.open(trained, {"run": "elsewhere"})
    with pytest.raises(ArgumentError, match="made with squared, the environment given is bandit"):
        Run.open(trained, env="bandit")
    with pytest.raises(CheckpointError, match=r"not the folder of a run: it has no config\.json"):
        Run.open(tmp_path)
    run = Run.configure("squared", {**SMALL, "run": trained})
    with pytest.raises(ArgumentError, match=r"already holds a run. Continue it with --res"):
        run.train(QUIET)


@pytest.mark.parametrize(("recurrent", "expected"), [(True, LSTMWrapper), (False, Default)])
def test_a_run_of_before_policy_memory_still_opens(trained, tmp_path, recurrent, expected):
    shutil.copytree(trained, tmp_path / "run")
    path = tmp_path / "run" / "config.json"
    config = json.loads(path.read_text())
    del config["algorithm"], config["policy"]["memory"], config["policy"]["kwargs"]
    config["policy"]["recurrent"] = recurrent
    path.write_text(json.dumps(config))
    run = Run.open(tmp_path / "run")
    assert run.config.policy.memory == ("lstm" if recurrent else "none")
    with closing(run.make_vecenv()) as vecenv:
        assert type(run.make_policy(vecenv)) is expected


@pytest.mark.long
def test_a_file_environment_is_found_from_another_directory_and_where_it_was_moved(
    game, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path / "made")
    folder = tmp_path / "run"
    settings = {**SMALL, "env.kwargs.wage": 2.0, "run": folder}
    checkpoint = Run.configure("game_of_run.py:Game", settings).train(QUIET)
    assert read_config(folder).env.task == game  # its path is absolute
    monkeypatch.chdir(tmp_path)
    returns = Run.open(folder).evaluate(checkpoint, episodes=4)["random"].returns
    assert set(returns) <= {0, 2, 4, 6, 8}

    (tmp_path / "moved").mkdir()
    moved = shutil.move(tmp_path / "made" / "game_of_run.py", tmp_path / "moved")
    script = f"from pufferlib.runs import Run\nrun = Run.open({str(folder)!r}, env=ENV)\n"
    script += "print(run.evaluate(run.config.run / 'checkpoint.pt', 4)['sampled'].mean)\n"
    result = new_process(script.replace("ENV", "None"))
    assert f"UnknownNameError: There is no file {tmp_path}/made/game_of_run.py." in result.stderr
    assert (
        f"The run {folder} was made in the directory {tmp_path}/made with the environment {game}. "
        f"Go there, install what is missing, or name the environment where it is now."
    ) in result.stderr
    result = new_process(script.replace("ENV", f"'{moved}:Game'"))
    assert result.returncode == 0, result.stderr
    assert 0 <= float(result.stdout) <= 8


@pytest.mark.long
def test_an_algorithm_whose_file_was_moved_is_named_where_it_is_now(tmp_path):
    path, folder = tmp_path / "algorithm_of_run.py", tmp_path / "run"
    path.write_text(ALGORITHM)
    mine = {"algorithm": f"{path}:Mine", "train.patience": 5, "run": folder}
    Run.configure("squared", {**SMALL, **mine}).train(QUIET)
    puffer = [sys.executable, "-m", "pufferlib.cli"]  # a process that has not loaded the file
    train = [*puffer, "train", "squared", "--resume", str(folder), "--train.patience", "7"]
    assert finished(train).returncode == 0  # the run's algorithm need not be repeated
    assert read_config(folder).train.patience == 7

    (tmp_path / "moved").mkdir()
    moved = f"{shutil.move(path, tmp_path / 'moved')}:Mine"
    evaluate = [*puffer, "eval", "squared", "--checkpoint", str(folder), "--episodes", "2"]
    for command in (evaluate, train):  # which then keeps the new place
        result = finished(command)
        assert result.returncode == 2
        assert f"There is no file {path}." in result.stderr
        assert f"{path}:Mine. If its file was moved, name it with --algorithm" in result.stderr
        assert finished([*command, "--algorithm", moved]).returncode == 0


def finished(command):
    return subprocess.run(command, capture_output=True, text=True, timeout=240)


def new_process(script):
    """Run a script where nothing has been imported yet."""
    return finished([sys.executable, "-c", script])


def test_a_missing_module_names_the_directory_where_the_run_was_made(trained, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(trained, folder)
    config = json.loads((folder / "config.json").read_text())
    facts = json.loads((folder / "run.json").read_text())
    facts["directory"] = "/home/of/another"
    (folder / "run.json").write_text(json.dumps(facts))
    for task, error, match in (
        ("module_not_here:make_env", UnknownNameError, "There is no module 'module_not_here'"),
        ("gymnasium:module_not_here:X-v0", UnknownNameError, "no module 'module_not_here'"),
        ("gymnasium:NotHere-v0", UnknownNameError, "Gymnasium has no environment 'NotHere-v0'"),
    ):
        config["env"]["task"] = task
        (folder / "config.json").write_text(json.dumps(config))
        with pytest.raises(
            error,
            match=rf"{match}.* was made in the directory /home/of/another with the environment "
            rf"{task}\. Go there, install what is missing, or name",
        ):
            Run.open(folder)


def test_a_file_that_needs_a_missing_package_names_it(trained, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(trained, folder)
    (tmp_path / "needing_game.py").write_text("import is_not_here\n")
    config = json.loads((folder / "config.json").read_text())
    config["env"]["task"] = f"{tmp_path}/needing_game.py:Game"
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(NotInstalledError, match=r"imports is_not_here, which is not inst.* Go"):
        Run.open(folder)


@pytest.mark.parametrize(
    ("settings", "error", "match"),
    [
        ({"policy.name": "defualt"}, UnknownNameError, "Did you mean 'default'"),
        ({"policy.kwargs.dept": 3}, SettingError, "policy.kwargs.dept is not an argument"),
        ({"env.kwargs.wge": 3}, ArgumentError, "wge"),
        ({"train.horizon": 0}, SettingError, "train.horizon must be at least 1"),
        ({"log.wandb": "fish"}, (ArgumentError, NotInstalledError), "WANDB_API_KEY|not installed"),
    ],
)
def test_settings_are_checked_before_any_process_starts(
    game, tmp_path, monkeypatch, settings, error, match
):
    monkeypatch.setattr(
        "pufferlib.vector.processes.backend.ProcessWorkers", None
    )  # would be a TypeError
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    parallel = {"vec.backend": "Multiprocessing", "run": tmp_path / "run"}
    run = Run.configure(game, {**SMALL, **parallel, **settings})
    with pytest.raises(error, match=match):
        run.train(QUIET)
    assert not (tmp_path / "run").exists()


def test_too_few_episodes_are_refused(trained):
    with pytest.raises(ArgumentError, match="episodes must be at least 2"):
        Run.open(trained).evaluate(None, episodes=1)


def test_the_documented_defaults_are_those_of_the_settings(game):
    config = Run.configure(game).config
    assert config.train == Config().train
    assert config.vec == Config().vec


CURRICULUM = """
NUMBER = 3

def harder(progress, metrics, attributes):
    return {"size": 3}

def shorter(progress):
    return {"size": 3}

class Level:
    def __init__(self, *arguments):
        pass
"""


def test_a_curriculum_is_found_by_its_name_from_any_directory(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(CURRICULUM)
    monkeypatch.chdir(tmp_path)
    assert Run.configure("squared").curriculum() is None
    run = Run.configure("squared", {"env.curriculum": "mine.py:harder"})
    assert run.config.env.curriculum == f"{tmp_path}/mine.py:harder"
    assert run.curriculum()(0, {}, {}) == {"size": 3}
    with pytest.raises(SettingError, match=r"function of \(progress, metrics, attributes\).* int"):
        Run.configure("squared", {"env.curriculum": "mine.py:NUMBER"}).curriculum()
    with pytest.raises(SettingError, match=r"mine.py:shorter cannot be called .* too many posit"):
        Run.configure("squared", {"env.curriculum": "mine.py:shorter"}).curriculum()
    with pytest.raises(SettingError, match=r"mine.py:Level is a class. Name a function"):
        Run.configure("squared", {"env.curriculum": "mine.py:Level"}).curriculum()
    with pytest.raises(UnknownNameError, match=r"no attribute 'hader'. Did you mean"):
        Run.configure("squared", {"env.curriculum": "mine.py:hader"}).curriculum()
    with pytest.raises(ArgumentError, match="must have the form"):
        Run.configure("squared", {"env.curriculum": "harder"}).curriculum()
