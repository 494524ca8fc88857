"""One parser reads every command line: options of the command, and settings as dotted flags."""

import ast
import dataclasses
import importlib
from pathlib import Path

import pytest

import pufferlib.cli
from pufferlib.cli.main import COMMANDS, main
from pufferlib.cli.parser import Parser, add_settings, field_docs, normalized
from pufferlib.config import Config, PolicyConfig
from pufferlib.ppo import PPOConfig
from pufferlib.runs.settings import find_setting, names_of
from pufferlib.training import LoopConfig

ALGORITHM = """
from dataclasses import dataclass
from pufferlib.training import LoopConfig

@dataclass(frozen=True)
class Mine(LoopConfig):
    algorithm = "mine"
    trace_decay: float = 0.5
    \"\"\"How fast traces decay.\"\"\"

    def make_algorithm(self, runner, context, generator):
        raise AssertionError
"""


def parse(command, *words):
    """Return the arguments of a command line, as `puffer` reads it."""
    words = normalized(words)
    parser = Parser(prog=f"puffer {command}")
    importlib.import_module(f"pufferlib.cli.{command}").add_arguments(parser, words)
    return parser.parse_args(words)


def overrides(*words, command="train"):
    return parse(command, "squared", *words).overrides


def help_of(capsys, *words):
    """Return what a command prints, on one line; it must exit with status 0."""
    with pytest.raises(SystemExit, match="0"):
        main(words)
    return " ".join(capsys.readouterr().out.split())


def error_of(capsys, *words):
    with pytest.raises(SystemExit, match="2"):
        main(words)
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], {}),
        (["--train.learning-rate", "1e-3"], {"train.learning_rate": "1e-3"}),
        (["--train.learning_rate=1e-3"], {"train.learning_rate": "1e-3"}),
        (["--vec.num_envs", "8", "--vec.num-workers=2"], {"vec.num_envs": "8"}),
        (["--train.seed", "1", "--train.seed", "2"], {"train.seed": "2"}),
        (["--train.max-seconds", "None"], {"train.max_seconds": "None"}),
        (["--train.normalize-rewards"], {"train.normalize_rewards": True}),
        (["--train.no-normalize-rewards"], {"train.normalize_rewards": False}),
        (["--train.no_normalize_rewards"], {"train.normalize_rewards": False}),
        (["--log.no-tensorboard"], {"log.tensorboard": False}),
        (["--policy.memory", "gru", "--run", "here"], {"policy.memory": "gru", "run": "here"}),
        (["--algorithm", "ppo"], {"algorithm": "ppo"}),
        (["--env.kwargs.max-steps", "20"], {"env.kwargs.max_steps": "20"}),
        (["--env.kwargs.max_steps=-3"], {"env.kwargs.max_steps": "-3"}),
        (["--env.kwargs.low", "-0.5"], {"env.kwargs.low": "-0.5"}),
        (["--env.kwargs.low", "-1e-3"], {"env.kwargs.low": "-1e-3"}),
        (["--env.kwargs.low=-inf", "--run", "-3"], {"env.kwargs.low": "-inf", "run": "-3"}),
        (["--env.kwargs.size=(40, 60)"], {"env.kwargs.size": "(40, 60)"}),
        (["--env.kwargs.text", "a=b"], {"env.kwargs.text": "a=b"}),
        (["--env.kwargs.table.part", "3"], {"env.kwargs.table.part": "3"}),
        (["--env.kwargs.KEY", "3"], {"env.kwargs.KEY": "3"}),
        (["--policy.kwargs.layer-sizes", "[8, 8]"], {"policy.kwargs.layer_sizes": "[8, 8]"}),
    ],
)
def test_settings_are_collected_as_text_by_dotted_name(words, expected):
    assert overrides(*words).items() >= expected.items()


def test_flags_may_precede_the_environment():
    arguments = parse("train", "--train.seed", "3", "--env.kwargs.size", "4", "squared")
    assert arguments.env == "squared"
    assert arguments.overrides == {"train.seed": "3", "env.kwargs.size": "4"}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["train", "squared", "--train.learning-rte", "1"], "Did you mean '--train.learning-rate'"),
        (["train", "squared", "--trane.seed=1"], "no flag --trane.seed. Did you mean '--train.se"),
        (["train", "squared", "--learning-rate", "1"], "no flag --learning-rate."),
        (["train", "squared", "--reume"], "there is no flag --reume. Did you mean '--resume'"),
        (["train", "squared", "--prof"], "there is no flag --prof. Did you mean '--profile'"),
        (["eval", "squared", "--epsodes", "3"], "Did you mean '--episodes'"),
        (["envs", "--wrong"], "puffer envs: there is no flag --wrong."),
        (["train", "squared", "extra"], "unrecognized arguments: extra"),
        (["train", "squared", "--train.seed"], "--train.seed: expected one argument"),
        (["train", "squared", "--env.kwargs.a"], "--env.kwargs.a: expected one argument"),
        (["train", "squared", "--env.kwargs.a", "--run", "b"], "--env.kwargs.a: expected one arg"),
        (["train"], "the following arguments are required: env"),
        (["trian", "squared"], "invalid choice: 'trian'"),
    ],
)
def test_a_wrong_flag_is_an_error_that_suggests_the_nearest(capsys, words, expected):
    error = error_of(capsys, *words)
    assert expected in error
    assert error.splitlines()[-1].endswith("--help")
    assert len(error.splitlines()) == 2


@pytest.mark.parametrize(
    ("words", "flag"),
    [
        (["eval", "squared", "--train.seed", "3"], "--train.seed"),
        (["eval", "squared", "--train.learning_rate=3"], "--train.learning-rate"),
        (["eval", "squared", "--policy.hidden-size", "8"], "--policy.hidden-size"),
        (["eval", "squared", "--policy.memory", "gru"], "--policy.memory"),
        (["eval", "squared", "--train.no-normalize-rewards"], "--train.no-normalize-rewards"),
        (["eval", "squared", "--vec.num-envs", "8"], "--vec.num-envs"),
        (["eval", "squared", "--run", "here"], "--run"),
        (["eval", "squared", "--policy.kwargs.size", "8"], "--policy.kwargs.size"),
        (["bench", "squared", "--vec.backend", "Serial"], "--vec.backend"),
        (["test", "squared", "--train.seed", "3"], "--train.seed"),
        (["autotune", "squared", "--policy.name", "mlp"], "--policy.name"),
    ],
)
def test_a_setting_of_training_without_effect_on_the_command_is_refused(capsys, words, flag):
    error = error_of(capsys, *words)
    assert error.startswith(f"puffer {words[0]}: {flag} has no effect here. It is a setting of")


@pytest.mark.parametrize(
    ("command", "flags"),
    [
        ("eval", ["--vec.backend", "Ray", "--vec.timeout-s", "5", "--train.threads", "2"]),
        ("eval", ["--vec.on-failure", "restart", "--vec.caller-steps", "--env.kwargs.a", "1"]),
        ("test", ["--policy.name", "mlp", "--policy.kwargs.a", "1", "--env.kwargs.b", "1"]),
        ("test", ["--policy.hidden-size", "8"]),
        ("bench", ["--env.kwargs.a", "1"]),
        ("autotune", ["--env.kwargs.a", "1"]),
    ],
)
def test_commands_take_the_settings_that_affect_them(command, flags):
    assert len(overrides(*flags, command=command)) == sum(flag[:2] == "--" for flag in flags)


def test_training_takes_every_setting():
    for name in names_of(Config()):
        if name.endswith("kwargs"):
            continue
        flag = f"--{name.replace('_', '-')}"
        is_switch = find_setting(name, Config()).annotation in (bool, bool | None)
        value = [] if is_switch else ["ppo"]
        assert name in overrides(flag, *value)


def test_the_settings_of_an_algorithm_of_your_own_are_flags(tmp_path):
    path = tmp_path / "algorithm_of_parser.py"
    path.write_text(ALGORITHM)
    for words in (["--algorithm", f"{path}:Mine"], [f"--algorithm={path}:Mine"]):
        given = overrides(*words, "--train.trace-decay", "0.3")
        assert given == {"algorithm": f"{path}:Mine", "train.trace_decay": "0.3"}


def test_help_shows_the_defaults_of_the_environment(capsys):
    text = help_of(capsys, "train", "squared", "--help")
    for option in ("--resume", "--train.learning-rate float", "--policy.memory none|lstm|gru"):
        assert option in text
    assert "--env.task" not in text
    assert "--vec.num-workers int|auto|None" in text
    # The preset of Squared, and the default.
    assert "(default: Serial)" in text
    assert "(default: Multiprocessing)" not in text
    text = help_of(capsys, "train", "--help")
    assert "usage: puffer train" in text
    assert "(default: Multiprocessing)" in text
    text = help_of(capsys, "train", "nethack", "--help")
    assert "(default: lstm)" in text


def test_help_shows_the_settings_of_the_algorithm_that_was_given(capsys, tmp_path):
    path = tmp_path / "algorithm_of_help.py"
    path.write_text(ALGORITHM)
    text = help_of(capsys, "train", "squared", "--algorithm", f"{path}:Mine", "--help")
    assert "--train.trace-decay float How fast traces decay. (default: 0.5)" in text
    assert "--train.clip-coefficient" not in text


def test_help_of_a_mistaken_environment_suggests_the_nearest(capsys):
    assert main(["train", "sqared", "--help"]) == 2
    assert "Did you mean 'squared'" in capsys.readouterr().err


def test_help_of_every_command_lists_its_own_options(capsys):
    for command in COMMANDS:
        text = help_of(capsys, command, "--help")
        assert f"usage: puffer {command}" in text
        assert COMMANDS[command].split(";")[0] in text
    text = help_of(capsys, "eval", "squared", "--help")
    for option in ("--checkpoint", "--episodes", "--seed", "--render", "--vec.backend"):
        assert option in text
    assert "Checkpoint:" not in text  # nothing is looked for
    assert "--policy.kwargs" not in text
    assert "--train.learning-rate" not in text
    text = help_of(capsys, "--help")
    assert all(f"{command} " in text for command in COMMANDS)


def test_the_help_of_a_setting_is_the_documentation_of_its_field(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "10000")  # lines are also broken at hyphens
    text = help_of(capsys, "train", "--help")
    for owner in (PPOConfig, PolicyConfig, Config):
        docs = field_docs(owner)
        for field in dataclasses.fields(owner):
            is_table = dataclasses.is_dataclass(getattr(Config(), field.name, None))
            if is_table or field.name in ("kwargs", "env"):
                continue
            assert docs[field.name], field.name
            assert " ".join(docs[field.name].split()) in text


def test_inherited_fields_are_documented_where_they_are_defined():
    assert field_docs(PPOConfig)["seed"] == field_docs(LoopConfig)["seed"]
    assert "minibatches" not in field_docs(LoopConfig)


def test_percent_signs_of_the_documentation_are_shown(capsys):
    @dataclasses.dataclass(frozen=True)
    class Settings:
        share: str = "5%"

    @dataclasses.dataclass(frozen=True)
    class Whole:
        part: Settings = dataclasses.field(default_factory=Settings)

    parser = Parser(prog="puffer train")
    add_settings(parser, [], ["part.share"], Whole())
    assert "(default: 5%)" in parser.format_help()


def test_the_version_and_an_empty_command_line(capsys):
    assert error_of(capsys).startswith("puffer: the following arguments are required: COMMAND")


def test_there_is_one_parser():
    folder = Path(pufferlib.cli.__file__).parent
    for path in folder.glob("*.py"):
        tree = ast.parse(path.read_text())
        calls = [ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)]
        assert not [name for name in calls if name.endswith("ArgumentParser")], path
        imported = [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Import)]
        assert not [name for name in imported if "tyro" in name or "click" in name], path
    parents = [path for path in folder.glob("*.py") if "ArgumentParser)" in path.read_text()]
    assert [path.name for path in parents] == ["parser.py"]
