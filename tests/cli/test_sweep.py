import pytest

from pufferlib.cli import sweep
from pufferlib.cli.main import main
from pufferlib.cli.parser import Parser, normalized


def test_lines_of_the_space_are_flags():
    words = ["bandit", "--sweep.space.train.learning-rate", "log 1e-4 1e-2", "--sweep.trials=3"]
    words += ["--sweep.space.env.kwargs.num_agents", "power2 16 64", "--run", "runs/x"]
    words = normalized(words)
    parser = Parser(prog="puffer sweep")
    sweep.add_arguments(parser, words)
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
        (["my_env.py:make_env", "--write"], "my_env.py"),
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
