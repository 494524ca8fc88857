"""A new run starts from the weights of another one."""

import json

import pytest
import torch
from rich.console import Console

from pufferlib.cli.main import main
from pufferlib.exceptions import CheckpointError
from pufferlib.runs import Run
from pufferlib.runs.folder import read_config
from pufferlib.training import checkpoint

QUIET = Console(quiet=True)
SMALL = {
    "vec.backend": "Serial",
    "vec.num_envs": 2,
    "train.horizon": 8,
    "train.total_timesteps": 64,
    "train.device": "cpu",
    "train.minibatches": 1,
    "log.tensorboard": False,
}
FLAGS = [
    word for name, value in SMALL.items() if "log" not in name for word in (f"--{name}", f"{value}")
]
FLAGS += ["--log.no-tensorboard"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return the folder of a short run on CartPole, with a policy that is not the default."""
    folder = tmp_path_factory.mktemp("run") / "first"
    own = {"policy.hidden_size": 12, "policy.normalize_observations": True, "policy.memory": "gru"}
    Run.configure("CartPole-v1", {**SMALL, **own, "run": folder}).train(QUIET)
    return folder


def state(path):
    return checkpoint.load(path)


def test_weights_and_statistics_are_those_of_the_run_and_the_rest_is_new(trained, tmp_path):
    # One update at a learning rate of almost 0 leaves the weights where they began.
    settings = {"train.total_timesteps": 16, "train.learning_rate": 1e-30, "run": tmp_path / "new"}
    run = Run.configure("CartPole-v1", {**SMALL, **settings}, init=trained)
    assert run.config.policy == read_config(trained).policy
    before, after = state(trained / "checkpoint.pt"), state(run.train(QUIET))
    statistics = {"policy.mean", "policy.variance", "policy.count"}
    for name, weight in before["policy"].items():
        assert torch.equal(after["policy"][name], weight) == (name not in statistics), name
    counted = after["policy"]["policy.count"] - before["policy"]["policy.count"]
    assert counted == 16  # observations more than the 64 before
    assert (before["timesteps"], after["timesteps"], after["updates"]) == (64, 16, 1)
    steps = {int(each["step"]) for each in after["algorithm"]["optimizer"]["state"].values()}
    assert steps == {run.config.train.update_epochs}  # of one minibatch: Adam is new
    facts = json.loads((tmp_path / "new" / "run.json").read_text())
    origin = json.loads((trained / "run.json").read_text())["id"]
    assert facts["init"] == {
        "checkpoint": str(trained / "checkpoint.pt"),
        "run": origin,
        "timesteps": 64,
    }
    assert facts["id"] != origin


def test_another_task_and_algorithm_start_from_a_checkpoint_file(trained, tmp_path):
    (tmp_path / "harder.py").write_text(
        "import gymnasium\n\ndef make():\n    env = gymnasium.make('CartPole-v1')\n"
        "    env.unwrapped.gravity = 20\n    return env\n"
    )
    folder = tmp_path / "new"
    words = [
        "train",
        f"{tmp_path}/harder.py:make",
        "--policy.from",
        str(trained / "best.pt"),
        *FLAGS,
    ]
    assert main([*words, "--algorithm", "vtrace", "--run", str(folder)]) == 0
    config = read_config(folder)
    assert (config.algorithm, config.policy.hidden_size, config.policy.memory) == (
        "vtrace",
        12,
        "gru",
    )
    assert state(folder / "checkpoint.pt")["timesteps"] == 64
    resumed = ["train", f"{tmp_path}/harder.py:make", "--resume", str(folder)]
    assert main([*resumed, "--train.total-timesteps", "80"]) == 0
    assert state(folder / "checkpoint.pt")["timesteps"] == 80


def test_the_scale_of_values_comes_with_the_value_head(tmp_path, capsys):
    own = {**SMALL, "train.normalize_returns": True}
    source = Run.configure("CartPole-v1", {**own, "run": tmp_path / "source"}).train(QUIET)
    plain = Run.configure("CartPole-v1", {**SMALL, "run": tmp_path / "plain"}).train(QUIET)
    before = state(source)
    # The mean of returns in the source is set to 100, which nothing that is learned from can reach.
    before["algorithm"]["normalizer"]["mean"] = 100.0
    checkpoint.save(source, before)
    settings = {**own, "train.total_timesteps": 16, "run": tmp_path / "new"}
    run = Run.configure("CartPole-v1", settings, init=source)
    after = state(run.train(QUIET))["algorithm"]["normalizer"]
    assert after["count"] == 64 + 16
    assert after["mean"] > 0.8 * 100
    # A mistake of scale is refused before anything starts, whichever of the two normalizes.
    for words, reason in (
        (["--init", str(source)], "train.normalize_returns must be on"),
        (["--init", str(source), "--algorithm", "vtrace"], "train.normalize_returns must be on"),
        (["--init", str(plain), "--train.normalize-returns"], "normalize_returns must be off"),
    ):
        flags = [*FLAGS, "--run", str(tmp_path / "other")]
        assert main(["train", "CartPole-v1", *words, *flags]) == 2
        assert reason in capsys.readouterr().err
        assert not (tmp_path / "other").exists()


def test_an_initial_standard_deviation_is_refused_as_it_has_no_effect(tmp_path, capsys):
    source = Run.configure("Pendulum-v1", {**SMALL, "run": tmp_path / "source"}).train(QUIET)
    words = ["train", "Pendulum-v1", "--init", str(source), "--policy.initial-std", "0.5", *FLAGS]
    assert main([*words, "--run", str(tmp_path / "new")]) == 2
    error = capsys.readouterr().err
    assert f"no effect: the standard deviations are among the weights of {source}" in error
    assert not (tmp_path / "new").exists()
    # As a setting of the first run, from its preset for example, it comes along.
    own = {**SMALL, "policy.initial_std": 0.5, "run": tmp_path / "half"}
    half = Run.configure("Pendulum-v1", own).train(QUIET)
    run = Run.configure("Pendulum-v1", {**SMALL, "run": tmp_path / "new"}, init=half)
    assert run.config.policy.initial_std == 0.5
    run.train(QUIET)


def test_what_does_not_fit_is_refused_before_anything_starts(trained, tmp_path, capsys):
    for task, flags, reason in (
        ("Acrobot-v1", [], "same spaces of observations"),
        ("CartPole-v1", ["--policy.hidden-size", "16"], "Given were policy.hidden_size"),
    ):
        words = ["train", task, "--init", str(trained), *FLAGS, *flags]
        assert main([*words, "--run", str(tmp_path / "new")]) == 2
        error = capsys.readouterr().err
        assert f"A run of {task} cannot start from {trained}/checkpoint.pt, which was" in error
        assert reason in error
        assert error.count("\n") == 1
        assert not (tmp_path / "new").exists()
    with pytest.raises(CheckpointError, match="is not the folder of a run"):
        Run.configure("CartPole-v1", init=tmp_path)


def test_init_is_for_one_new_run(trained, capsys):
    with pytest.raises(SystemExit):
        main(["train", "CartPole-v1", "--init", str(trained), "--resume", str(trained)])
    assert "not allowed with argument" in capsys.readouterr().err
    assert main(["train", "all", "--init", str(trained)]) == 2
    assert "--init applies to one run, but ENV is 'all'" in capsys.readouterr().err
