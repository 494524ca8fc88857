"""`puffer autotune`: what it prints can be trained with, and what it writes is read."""

import re
import tomllib

import pytest

from pufferlib import config as presets
from pufferlib.cli import train
from pufferlib.cli.autotune import best_to_train
from pufferlib.cli.main import main
from pufferlib.cli.parser import Parser
from pufferlib.config import Config
from pufferlib.ppo.config import PPOConfig
from pufferlib.runs import Run
from pufferlib.vector import Tuning
from pufferlib.vector.tuning.autotune import Trial
from pufferlib.vector.tuning.candidates import Candidate
from pufferlib.vector.tuning.env_profile import EnvProfile

SHORT = ["--max-envs", "4", "--seconds", "0.02", "--rounds", "1"]


def autotune(*arguments):
    return main(["autotune", *arguments, *SHORT])


def vec_settings(env, flags):
    """Return the vec settings of `puffer train ENV FLAGS`."""
    parser = Parser(prog="puffer train")
    train.add_arguments(parser, [env, *flags])
    return Run.configure(env, parser.parse_args([env, *flags]).overrides).config.vec


@pytest.mark.parametrize("env", ["CartPole-v1", "squared"])
def test_the_written_preset_and_the_printed_flags_are_the_same_settings(tmp_path, capsys, env):
    path = tmp_path / "tuned.toml"
    path.write_text("# mine\n[train]\nseed = 3 # lucky\n")
    assert autotune(env, "--write", str(path)) == 0
    output = capsys.readouterr().out
    assert re.search(r"One environment: \d+ agents, [\d,]+ steps/s", output)
    assert "Best: " in output
    assert path.read_text().startswith("# mine\n[train]\nseed = 3 # lucky\n\n[vec]\n")
    written = presets.load(["tuned"], [tmp_path]).vec
    flags = re.search(rf"puffer train {env} (--vec.*)", output)[1].split()
    assert vec_settings(env, flags) == written
    assert written.num_envs <= 4


def tuning(*trials, agents=1):
    rows = tuple(Trial(candidate, steps, steps / trials[0][0], 1.0) for steps, candidate in trials)
    profile = EnvProfile(agents, 100, 10.0, 0.1, 10.0, 0.01, 1.0, 0.0, 1e5, 100, 10.0, None)
    return Tuning(profile, rows, rows[0].candidate)


def test_training_takes_no_pool_and_rows_for_every_minibatch():
    pool = (1000.0, Candidate("Multiprocessing", 32, num_workers=4, batch_size=16))
    many = (500.0, Candidate("Multiprocessing", 32, num_workers=4))
    few = (490.0, Candidate("Multiprocessing", 2, num_workers=2))
    config = Config(train=PPOConfig(minibatches=4))
    assert best_to_train(tuning(pool, many, few), config, is_recurrent=False) == few[1]
    assert best_to_train(tuning(pool), config, is_recurrent=False) is None
    # A recurrent policy learns from whole rows: four minibatches need four.
    assert best_to_train(tuning(pool, many, few), config, is_recurrent=True) == many[1]
    assert best_to_train(tuning(pool, many, few, agents=2), config, is_recurrent=True) == few[1]


def test_if_no_candidate_can_train_the_file_is_unchanged_and_it_says_so(tmp_path, capsys):
    # NetHack's preset is recurrent and has four minibatches; three rows cannot make them.
    path = tmp_path / "tuned.toml"
    arguments = ["--max-envs", "3", "--seconds", "0.02", "--rounds", "1", "--write", str(path)]
    assert main(["autotune", "NetHackChallenge-v0", *arguments]) == 2
    captured = capsys.readouterr()
    assert "fewer rows than the minibatches need. Best for training: none of these" in captured.out
    assert "puffer train" not in captured.out
    assert f"{path} is unchanged. Try more environments: --max-envs N" in captured.err
    assert not path.exists()


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """Return the presets of a checkout, made for the test."""
    folder = tmp_path / "pufferlib" / "config"
    folder.mkdir(parents=True)
    monkeypatch.setattr(presets, "PRESETS", folder)
    return folder


@pytest.mark.parametrize(
    ("env", "there", "expected"),
    [
        ("CartPole-v1", [], "CartPole-v1"),
        pytest.param("CartPole-v1", ["classic_control"], "CartPole-v1", marks=pytest.mark.long),
        pytest.param("classic_control", [], "classic_control", marks=pytest.mark.long),
        ("classic_control", ["CartPole-v1"], "CartPole-v1"),
        pytest.param(
            *("bsuite/catch-v0", [], "bsuite-catch-v0"),
            marks=[pytest.mark.long, pytest.mark.leaves_threads],
        ),
        pytest.param(  # bsuite imports pandas, and that PyArrow, whose allocator has a thread
            *("bsuite", ["bsuite-catch-v0"], "bsuite-catch-v0"), marks=pytest.mark.leaves_threads
        ),
    ],
)
def test_the_written_preset_is_the_one_that_training_reads_last(checkout, env, there, expected):
    for name in there:
        (checkout / f"{name}.toml").touch()
    assert autotune(env, "--write") == 0
    assert {path.stem for path in checkout.iterdir()} == {expected, *there}
    path = checkout / f"{expected}.toml"
    assert "[vec]" in path.read_text()
    read = vec_settings(env, [])
    assert read == presets.override(Config(), tomllib.loads(path.read_text()), "there").vec
    assert read.num_envs <= 4


def test_printed_flags_and_written_preset_remove_a_pool(checkout, tmp_path, capsys):
    (checkout / "squared.toml").write_text("[vec]\nnum_envs = 64\nbatch_size = 32\n")
    path = tmp_path / "tuned.toml"
    path.write_text("[vec]\nbatch_size = 32\n")
    assert autotune("squared", "--write", str(path)) == 0
    printed = re.search(r"puffer train squared (--vec.*)", capsys.readouterr().out)[1]
    written = presets.load(["tuned"], [tmp_path]).vec
    assert written.batch_size is None
    assert vec_settings("squared", printed.split()) == written


def test_an_installation_is_not_changed(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "site-packages" / "pufferlib" / "config"
    folder.mkdir(parents=True)
    monkeypatch.setattr(presets, "PRESETS", folder)
    assert autotune("CartPole-v1", "--write") == 2
    captured = capsys.readouterr()
    assert "part of an installation. Name a file: --write CartPole-v1.toml" in captured.err
    assert captured.out == ""
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["squared", "--rounds", "0"], "rounds must be a whole number of at least 1; got 0"),
        (["squared", "--seconds", "0"], "seconds must be above 0; got 0"),
        (["squared", "--max-envs", "0"], "max_envs must be"),
        (["squared", "--max-memory", "0"], "--max-memory must be above 0 GiB; got 0"),
        (["squared", "--max-envs", "2", "--batch-size", "3"], "batch_size must be at most"),
        (["squared", "--write", "no/such/preset.toml"], "Create it first"),
        (["all", "--write", "preset.toml"], "--write applies to one run, but ENV is 'all'"),
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
