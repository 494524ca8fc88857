import shutil
from pathlib import Path

import pytest
import sweep_environments

from pufferlib import config as presets
from pufferlib.cli import sweep as sweep_command
from pufferlib.cli.main import main
from pufferlib.cli.parser import Parser, normalized
from pufferlib.exceptions import SettingError
from pufferlib.runs import Run
from pufferlib.sweep.preset import values_to_write, write_preset
from pufferlib.sweep.sweep import Sweep

OWN = f"{Path(sweep_environments.__file__)}:make_env"


def test_lines_of_the_space_are_flags():
    words = ["bandit", "--sweep.space.train.learning-rate", "log 1e-4 1e-2", "--sweep.trials=3"]
    words += ["--sweep.space.env.kwargs.num_agents", "power2 16 64", "--run", "runs/x"]
    words = normalized(words)
    parser = Parser(prog="puffer sweep")
    sweep_command.add_arguments(parser, words)
    arguments = parser.parse_args(words)
    assert arguments.overrides == {
        "sweep.space.train.learning_rate": "log 1e-4 1e-2",
        "sweep.space.env.kwargs.num_agents": "power2 16 64",
        "sweep.trials": "3",
    }
    assert (arguments.env, arguments.run, arguments.write) == ("bandit", "runs/x", None)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["bandit", "--sweep.space.train.gamma", "lgo 0.9 1"], "Did you mean 'log' or 'logit'?"),
        (["bandit", "--sweep.jobs", "0"], "sweep.jobs must be at least 1; got 0."),
        (
            [OWN, "--vec.backend", "Serial", "--write"],
            "is outside every family. Leave it out: the report has a command line for each trial",
        ),
        (["bandits"], "Did you mean 'bandit' or"),
    ],
)
def test_a_mistake_is_one_line(words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["sweep", *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("puffer sweep: ")
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """Return a copy of the presets, which may be written."""
    folder = tmp_path / "presets"
    shutil.copytree(presets.PRESETS, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    monkeypatch.setattr(presets, "PRESETS", folder)
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.mark.parametrize(
    ("env", "algorithm", "expected"),
    [
        pytest.param("CartPole-v1", "ppo", "CartPole-v1.toml", marks=pytest.mark.long),
        pytest.param("CartPole-v1", "vtrace", "CartPole-v1.vtrace.toml", marks=pytest.mark.long),
        ("classic_control", "vtrace", "CartPole-v1.vtrace.toml"),
        ("squared", "vtrace", "squared.vtrace.toml"),
    ],
)
def test_settings_of_an_algorithm_are_written_where_it_reads_them(
    checkout, env, algorithm, expected
):
    if env == "classic_control":  # of a family, too, the preset of the task is written
        (checkout / "CartPole-v1.toml").unlink()
    sweep = Sweep.configure(env, {"algorithm": algorithm, "vec.num_envs": 4})
    path = sweep_command.preset_of(sweep)
    assert path == checkout / expected
    others = {name: Run.configure(env, {"algorithm": name}).config for name in ("ppo", "vtrace")}
    settings = {"train.learning_rate": 5e-3, "policy.memory": "lstm"}
    write_preset(path, values_to_write(sweep.facts(), settings))
    for name, before in others.items():
        config = Run.configure(env, {"algorithm": name}).config
        if name == algorithm:
            assert (config.train.learning_rate, config.policy.memory) == (5e-3, "lstm")
            assert config.vec.num_envs == 4
        else:
            assert config.train == before.train


def test_arguments_are_written_whole_as_they_replace_the_familys(checkout):
    (checkout / "classic_control.toml").write_text("[env.kwargs]\nkeys = ['a \"b\"', 'c']\nn = 8\n")
    facts = {"env": "CartPole-v1", "config": presets.as_json(Run.configure("CartPole-v1").config)}
    values = values_to_write(facts, {"env.kwargs.limit": 5})
    path = checkout / "CartPole-v1.toml"
    write_preset(path, values)
    kwargs = {"keys": ['a "b"', "c"], "n": 8, "limit": 5}
    assert Run.configure("CartPole-v1").config.env.kwargs == kwargs


@pytest.mark.parametrize(
    ("text", "overrides", "match"),
    [
        (
            "[train]\ntarget_kl = 0.1\n",
            {"sweep.space.train.target_kl": "choices None 0.02"},
            "cannot put train.target_kl None into .*CartPole-v1.toml, with which it would be 0.1",
        ),
        ("", {"env.kwargs.render_mode": None}, "cannot put env.kwargs .*TOML has no None"),
    ],
)
def test_what_a_preset_cannot_say_is_refused_before_the_sweep(checkout, text, overrides, match):
    (checkout / "classic_control.toml").write_text(text)
    sweep = Sweep.configure("CartPole-v1", overrides)
    with pytest.raises(SettingError, match=match):
        sweep_command.preset_of(sweep)
    (checkout / "classic_control.toml").write_text("")
    if text:
        sweep_command.preset_of(sweep)
