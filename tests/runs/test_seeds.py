"""Several seeds are runs in one folder, with a table, a band and a resumption of all."""

import contextlib
import json
import math
import re
import shutil

import pytest
import torch
from rich.console import Console

import pufferlib
from pufferlib.cli.main import main
from pufferlib.exceptions import ArgumentError, CheckpointError, SettingError
from pufferlib.runs import Run
from pufferlib.runs.curves import band
from pufferlib.runs.folder import read_config
from pufferlib.runs.seeds import configure_seeds, mean_interval, open_seeds, score, train_seeds
from pufferlib.training import checkpoint

FLAGS = ["--vec.backend", "Serial", "--vec.num-envs", "4", "--train.horizon", "32"]
FLAGS += ["--train.total-timesteps", "256", "--train.device", "cpu", "--log.no-tensorboard"]
QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def group(tmp_path_factory):
    """Return the folder of runs with the seeds 4 and 5, and what was printed."""
    folder, printed = tmp_path_factory.mktemp("runs") / "group", []
    words = ["train", "CartPole-v1", "--seeds", "2", "--train.seed", "4", *FLAGS]
    with contextlib.redirect_stdout(Lines(printed)):
        assert main([*words, "--run", str(folder)]) == 0
    return folder, "".join(printed)


class Lines(list):
    """A list of what was written, as a file."""

    def __init__(self, printed):
        self.write, self.flush = printed.append, lambda: None


def last_line(folder):
    return json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])


def test_each_seed_is_the_run_that_it_is_alone(group, tmp_path):
    folder, _ = group
    alone = ["train", "CartPole-v1", "--train.seed", "5", *FLAGS, "--run", str(tmp_path / "alone")]
    assert main(alone) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["seed-4", "seed-5", "seeds.json"]
    names = ("loss/total", "episode/episode_return", "timesteps")
    own, other = last_line(folder / "seed-5"), last_line(tmp_path / "alone")
    assert [own[name] for name in names] == [other[name] for name in names]
    assert last_line(folder / "seed-4")["loss/total"] != own["loss/total"]


def test_the_score_of_a_run_leaves_out_an_incomplete_last_line(tmp_path):
    assert score(tmp_path) is None
    lines = '{"episode/episode_return": 3}\n{"episode/episode_return": 5}\n{"episode/ep'
    (tmp_path / "metrics.jsonl").write_text(lines)
    assert score(tmp_path) == 5.0


def test_the_table_has_a_row_for_each_seed_and_their_mean(group):
    folder, printed = group
    scores = [last_line(folder / f"seed-{seed}")["episode/episode_return"] for seed in (4, 5)]
    for seed, returned in zip((4, 5), scores, strict=True):
        assert re.search(rf"seed-{seed} +256 +[\d,]+ +{returned:.2f}", printed)
    mean = sum(scores) / 2
    half = 12.7062047 * abs(scores[0] - scores[1]) / 2  # t of one degree of freedom, s / sqrt(2)
    assert f"Mean return of 2 seeds: {mean:.2f}  95% interval of the mean" in printed
    assert f"[{mean - half:.2f}, {mean + half:.2f}]" in printed


def test_the_interval_is_that_of_students_t():
    assert mean_interval([1.0, 2.0, 3.0]) == pytest.approx((2, 2 - 2.4841, 2 + 2.4841), abs=1e-3)
    scores = [0.0, 1.0] * 10  # s = sqrt(5 / 19), t of 19 degrees of freedom is 2.0930
    half = 2.0930 * math.sqrt(5 / 19) / math.sqrt(20)
    assert mean_interval(scores) == pytest.approx((0.5, 0.5 - half, 0.5 + half), abs=2e-4)


def test_a_curve_of_several_seeds_is_their_mean_with_a_band(group, tmp_path):
    folder, _ = group
    out = tmp_path / "curve.svg"
    assert main(["plot", str(folder), str(folder / "seed-4"), "--out", str(out)]) == 0
    texts = re.findall(r"<text[^>]*>([^<]+)</text>", out.read_text())
    assert "group: mean of 2 seeds, band from lowest to highest" in texts
    assert "seed-4" in texts
    assert out.read_text().count("fill-opacity: 0.2") == 1


def test_a_band_is_where_all_curves_are():
    curves = [([0, 10, 20], [0.0, 10.0, 20.0]), ([5, 15], [1.0, 3.0])]
    xs, mean, low, high = band(curves)
    assert xs == [5, 10, 15]
    assert low == [1, 2, 3]  # by hand: the second curve, at 10 halfway
    assert high == [5, 10, 15]
    assert mean == [3, 6, 9]
    with pytest.raises(ArgumentError, match="no part of their curves in common"):
        band([([0, 1], [0, 0]), ([2, 3], [0, 0])])


def test_an_interrupted_group_continues_with_the_runs_that_are_left(tmp_path, monkeypatch):
    settings = {"vec.backend": "Serial", "vec.num_envs": 4, "train.horizon": 32}
    settings |= {"train.total_timesteps": 256, "train.device": "cpu", "log.tensorboard": False}
    folder = tmp_path / "group"
    runs = configure_seeds(Run.configure("CartPole-v1", {**settings, "run": folder}), 3)
    train, trained = Run.train, []

    def interrupted(run, *arguments):
        if len(trained) == 1:
            raise KeyboardInterrupt
        trained.append(run.config.train.seed)
        return train(run, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "train", interrupted)
        with pytest.raises(KeyboardInterrupt):
            list(train_seeds(runs, QUIET))
    assert (folder / "seed-1" / "checkpoint.pt").is_file()
    opened = open_seeds(folder, {})
    assert [(run.config.train.seed, run.resumes) for run in opened] == [
        (1, True),
        (2, False),
        (3, False),
    ]
    words = ["train", "CartPole-v1", "--resume", str(folder), "--train.total-timesteps", "384"]
    assert main(words) == 0
    for seed in (1, 2, 3):
        assert checkpoint.load(folder / f"seed-{seed}" / "checkpoint.pt")["timesteps"] == 384
        assert read_config(folder / f"seed-{seed}").train.seed == seed


def test_the_latest_run_and_its_group_are_found(group, tmp_path, monkeypatch, capsys):
    folder, _ = group
    (tmp_path / "runs").symlink_to(folder.parent)
    monkeypatch.chdir(tmp_path)
    assert main(["train", "CartPole-v1", "--resume"]) == 0
    printed = capsys.readouterr().out
    assert "Resuming runs/group\n" in printed
    assert printed.count("is done") == 2


def test_all_seeds_start_from_the_checkpoint_as_it_was(group, tmp_path, monkeypatch):
    folder, source = tmp_path / "group", tmp_path / "source"
    shutil.copytree(group[0] / "seed-4", source)
    first = checkpoint.load(source / "checkpoint.pt")
    settings = {"vec.backend": "Serial", "vec.num_envs": 4, "train.horizon": 32}
    settings |= {"train.total_timesteps": 128, "train.device": "cpu", "log.tensorboard": False}
    # One update at a learning rate of almost 0 leaves the weights where they began.
    settings |= {"train.learning_rate": 1e-30, "run": folder}
    runs = configure_seeds(Run.configure("CartPole-v1", settings, init=source), 3)
    train = Run.train
    trained = []

    def moving(run, *arguments):
        """Train; after the first run the source trains on, and ends all; it is deleted later."""
        if len(trained) == 1:
            raise KeyboardInterrupt
        trained.append(run)
        path = train(run, *arguments)
        weights = {name: each + 1 for name, each in first["policy"].items()}
        checkpoint.save(source / "checkpoint.pt", {**first, "policy": weights, "timesteps": 999})
        return path

    with monkeypatch.context() as patch:
        patch.setattr(Run, "train", moving)
        with pytest.raises(KeyboardInterrupt):
            list(train_seeds(runs, QUIET))
    shutil.rmtree(source)
    assert len(list(train_seeds(open_seeds(folder, {}), QUIET))) == 3
    for seed in (1, 2, 3):
        weights = checkpoint.load(folder / f"seed-{seed}" / "checkpoint.pt")["policy"]
        for name, weight in first["policy"].items():
            assert torch.equal(weights[name], weight), name
        facts = json.loads((folder / f"seed-{seed}" / "run.json").read_text())
        origin = json.loads((group[0] / "seed-4" / "run.json").read_text())["id"]
        assert facts["init"] == {
            "checkpoint": str(source / "checkpoint.pt"),
            "run": origin,
            "timesteps": 256,
        }


def test_where_one_run_is_needed_those_of_the_group_are_named(group, tmp_path, capsys):
    folder, _ = group
    reason = f"{folder} is a group of runs. Name one of them: {folder}/seed-4, {folder}/seed-5."
    new = ["--run", str(tmp_path / "new")]
    for words in (
        ["doctor", str(folder)],
        ["eval", "CartPole-v1", "--checkpoint", str(folder)],
        ["export", str(folder), "--out", str(tmp_path / "policy.pt")],
        ["train", "CartPole-v1", "--init", str(folder), *new],
    ):
        assert main(words) == 2, words
        assert reason in capsys.readouterr().err, words
    with pytest.raises(CheckpointError, match="is a group of runs"):
        pufferlib.load(folder)
    assert not list(tmp_path.iterdir())


def test_a_folder_with_a_run_that_is_not_of_the_group_is_refused_as_it_is(group, tmp_path, capsys):
    shutil.copytree(group[0] / "seed-4", tmp_path / "seed-2")
    words = ["train", "CartPole-v1", "--seeds", "2", *FLAGS, "--run", str(tmp_path)]
    assert main(words) == 2
    assert f"{tmp_path}/seed-2 already holds a run" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["seed-2"]


def test_mistakes_are_refused_and_leave_nothing(group, tmp_path, capsys):
    folder, _ = group
    new = tmp_path / "new"
    for words, reason in (
        (["--seeds", "1"], "--seeds must be at least 2"),
        (["--seeds", "2", "--train.horizon", "0"], "train.horizon must be at least 1"),
        (["--seeds", "2", "--run", str(folder)], "already holds a run. Continue it with --resume"),
        (["--seeds", "2", "--resume", str(folder)], "--seeds is for new runs"),
    ):
        assert main(["train", "CartPole-v1", "--run", str(new), *words]) == 2
        assert reason in capsys.readouterr().err
        assert not new.exists()
    words = ["train", "Acrobot-v1", "--seeds", "2", "--init", str(folder / "seed-4"), *FLAGS]
    assert main([*words, "--run", str(new)]) == 2
    assert f"cannot start from {folder}/seed-4/checkpoint.pt, which was" in capsys.readouterr().err
    assert not new.exists()
    assert main(["train", "all", "--seeds", "2"]) == 2
    assert "--seeds applies to one run" in capsys.readouterr().err
    with pytest.raises(ArgumentError, match=r"continue there\. Leave run out"):
        open_seeds(folder, {"run": new})
    with pytest.raises(SettingError, match=r"train\.seed cannot change"):
        open_seeds(folder, {"train.seed": 4})


def test_several_processes_are_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ArgumentError, match="--seeds trains in one process"):
        configure_seeds(Run.configure("CartPole-v1"), 2)
