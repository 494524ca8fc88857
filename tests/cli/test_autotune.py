"""`puffer autotune`: what it prints can be trained with, and what it writes is read."""

import re
import tomllib

import pytest

from pufferlib import config as presets
from pufferlib.cli.autotune import best_to_train
from pufferlib.cli.main import main
from pufferlib.cli.run import settings
from pufferlib.config import Config, PolicyConfig
from pufferlib.ppo.config import TrainConfig
from pufferlib.vector import Tuning
from pufferlib.vector.env_profile import EnvProfile
from pufferlib.vector.settings import Setting
from pufferlib.vector.tuning import Trial

pytestmark = pytest.mark.timeout(120)
SHORT = ["--max-envs", "4", "--seconds", "0.02", "--rounds", "1"]


def autotune(*arguments):
    return main(["autotune", *arguments, *SHORT])


@pytest.mark.parametrize("env", ["CartPole-v1", "squared"])
def test_what_is_written_and_what_is_printed_train_alike(tmp_path, capsys, env):
    path = tmp_path / "tuned.toml"
    path.write_text("# mine\n[train]\nseed = 3 # lucky\n")
    assert autotune(env, "--write", str(path)) == 0
    output = capsys.readouterr().out
    assert re.search(r"One environment: \d+ agents, [\d,]+ steps/s", output)
    assert "Best: " in output
    assert path.read_text().startswith("# mine\n[train]\nseed = 3 # lucky\n\n[vec]\n")
    written = presets.load(["tuned"], tmp_path).vec
    flags = re.search(rf"puffer train {env} (--vec.*)", output)[1].split()
    assert settings(env, flags, "train").vec == written
    assert written.num_envs <= 4


def tuning(*trials, agents=1):
    rows = tuple(
        Trial(Setting(*setting), steps, steps / trials[0][0], 1.0) for steps, *setting in trials
    )
    profile = EnvProfile(agents, 100, 10.0, 0.1, 10.0, 0.01, 1.0, 0.0, 1e5, 100, 10.0, None)
    return Tuning(profile, rows, rows[0].setting)


def test_training_takes_no_pool_and_rows_for_every_minibatch():
    pool = (1000.0, "Multiprocessing", 32, 4, 16)
    many, few = (500.0, "Multiprocessing", 32, 4), (490.0, "Multiprocessing", 2, 2)
    assert best_to_train(tuning(pool, many, few), Config()) == Setting("Multiprocessing", 2, 2)
    assert best_to_train(tuning(pool), Config()) is None
    # A recurrent policy learns from whole rows: four minibatches need four.
    recurrent = Config(policy=PolicyConfig(recurrent=True), train=TrainConfig(minibatches=4))
    found = tuning(pool, many, few)
    assert best_to_train(found, recurrent) == Setting("Multiprocessing", 32, 4)
    found = tuning(pool, many, few, agents=2)
    assert best_to_train(found, recurrent) == Setting("Multiprocessing", 2, 2)


def test_where_no_setting_trains_that_is_said_and_the_file_stays(tmp_path, capsys):
    # NetHack's preset is recurrent and has four minibatches; three rows cannot make them.
    path = tmp_path / "tuned.toml"
    arguments = ["--max-envs", "3", "--seconds", "0.02", "--rounds", "1", "--write", str(path)]
    assert main(["autotune", "nethack", *arguments]) == 2
    captured = capsys.readouterr()
    assert "fewer rows than 4 minibatches need. Best for it: none of these" in captured.out
    assert "puffer train" not in captured.out
    assert f"{path} was left as it is. Try more: --max-envs N" in captured.err
    assert not path.exists()


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """Return the presets of a checkout, made for the test."""
    folder = tmp_path / "pufferlib" / "config"
    folder.mkdir(parents=True)
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.setattr(presets, "PRESETS", folder)
    monkeypatch.setattr(presets.load, "__defaults__", (folder,))
    return folder


@pytest.mark.parametrize(
    ("env", "there", "expected"),
    [
        ("CartPole-v1", [], "CartPole-v1"),
        ("CartPole-v1", ["classic_control"], "CartPole-v1"),
        ("classic_control", [], "classic_control"),
        ("classic_control", ["CartPole-v1"], "CartPole-v1"),
        ("bsuite/catch-v0", [], "bsuite-catch-v0"),
        ("bsuite", ["bsuite-catch-v0"], "bsuite-catch-v0"),
    ],
)
def test_the_preset_that_is_written_is_the_one_that_decides(checkout, env, there, expected):
    for name in there:
        (checkout / f"{name}.toml").touch()
    assert autotune(env, "--write") == 0
    assert {path.stem for path in checkout.iterdir()} == {expected, *there}
    path = checkout / f"{expected}.toml"
    assert "[vec]" in path.read_text()
    read = settings(env, [], "train")
    assert read.vec == presets.override(Config(), tomllib.loads(path.read_text()), "there").vec
    assert read.vec.num_envs <= 4


def test_what_is_printed_and_what_is_written_take_a_pool_back(checkout, tmp_path, capsys):
    (checkout / "squared.toml").write_text("[vec]\nnum_envs = 64\nbatch_size = 32\n")
    path = tmp_path / "tuned.toml"
    path.write_text("[vec]\nbatch_size = 32\n")
    assert autotune("squared", "--write", str(path)) == 0
    printed = re.search(r"puffer train squared (--vec.*)", capsys.readouterr().out)[1]
    written = presets.load(["tuned"], tmp_path).vec
    assert written.batch_size is None
    assert settings("squared", printed.split(), "train").vec == written


def test_an_installation_is_not_written_into(checkout, capsys):
    (checkout.parents[1] / "pyproject.toml").unlink()
    assert autotune("CartPole-v1", "--write") == 2
    captured = capsys.readouterr()
    assert "part of an installation. Name a file: --write CartPole-v1.toml" in captured.err
    assert captured.out == ""
    assert list(checkout.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["squared", "--rounds", "0"], "rounds must be a whole number of at least 1; got 0"),
        (["squared", "--seconds", "0"], "seconds must be above 0; got 0"),
        (["squared", "--max-envs", "0"], "max_envs must be"),
        (["squared", "--max-memory", "0"], "--max-memory must be above 0 GiB; got 0"),
        (["squared", "--max-envs", "2", "--batch-size", "3"], "batch_size must be at most"),
        (["squared", "--write", "no/such/preset.toml"], "Make it first"),
        (["all", "--write", "preset.toml"], "--write is of one run; got it for all"),
        (["sqared"], "Did you mean 'squared'"),
    ],
)
def test_a_mistake_is_one_clear_line_before_anything_starts(capsys, arguments, expected):
    assert main(["autotune", *arguments]) == 2
    captured = capsys.readouterr()
    assert expected in captured.err
    assert captured.err.startswith("puffer autotune: ")
    assert captured.err.count("\n") == 1
    assert captured.out == ""
