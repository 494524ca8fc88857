"""Runs with self-play: resumption, files, and what is refused before anything starts."""

import json
import shutil

import pytest
import torch
from rich.console import Console

from pufferlib.exceptions import ActionError, CheckpointError, SettingError, UnknownNameError
from pufferlib.rating import read_games
from pufferlib.runs import Run
from pufferlib.runs import train as train_module
from pufferlib.training import Trainer, checkpoint

QUIET = Console(quiet=True)
GAME = "selfplay_games:Ledger"
SMALL = {
    "vec.backend": "Serial",
    "vec.num_envs": 4,
    "train.horizon": 8,
    "train.device": "cpu",
    "train.checkpoint_interval": 2,
    "train.total_timesteps": 400,
    "policy.hidden_size": 8,
    "log.tensorboard": False,
    "eval.share": 0.0,
    "selfplay.opponents": "pfsp-hard:0.4,near:0.4,random:0.2",
    "selfplay.snapshot_interval": 1,
    "selfplay.pool_size": 3,
}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(train_module, "facts", lambda source: {})  # asks git, which takes longest


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return the folder of a run with a pool; what it printed is in a file next to it."""
    folder = tmp_path_factory.mktemp("trained") / "old"
    with (folder.parent / "printed").open("w") as file:
        Run.configure(GAME, {**SMALL, "run": folder}).train(Console(file=file))
    return folder


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def weights(path):
    return checkpoint.load(path)["policy"]


@pytest.mark.parametrize("memory", ["none", "gru"])
def test_a_run_that_was_killed_and_resumed_has_the_same_pool_games_and_weights(
    memory, tmp_path, monkeypatch
):
    settings = {**SMALL, "train.exact_resume": True, "policy.memory": memory}
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    Run.configure(GAME, {**settings, "run": whole}).train(QUIET)

    update = Trainer.update

    def dying(self, rollout):
        if self.updates == 3:  # a checkpoint was written after 2
            raise KeyboardInterrupt
        return update(self, rollout)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "update", dying)
        patch.setattr("pufferlib.runs.checkpoints.CheckpointManager.save_last", lambda self: True)
        with pytest.raises(KeyboardInterrupt):
            Run.configure(GAME, {**settings, "run": killed}).train(QUIET)
    (killed / "pool" / "learner@99999.pt").touch()  # of a snapshot after the checkpoint
    with (killed / "games.jsonl").open("a") as file:
        file.write("games after the checkpoint\n")
    Run.open(killed).train(QUIET)

    assert names_in(killed / "pool") == names_in(whole / "pool")
    assert len(names_in(whole / "pool")) == 3
    assert (killed / "games.jsonl").read_text() == (whole / "games.jsonl").read_text()
    assert len(read_games(whole / "games.jsonl")) > 20
    for name in ("checkpoint.pt", *(f"pool/{each}" for each in names_in(whole / "pool"))):
        one, other = weights(whole / name), weights(killed / name)
        assert all(torch.equal(one[key], other[key]) for key in one), name
    one, other = checkpoint.load(whole / "checkpoint.pt"), checkpoint.load(killed / "checkpoint.pt")
    assert one["selfplay"] == other["selfplay"]


def test_metrics_and_dashboard_show_games_scores_and_ratings(trained):
    lines = (trained / "metrics.jsonl").read_text().splitlines()
    last = json.loads(lines[-1])
    assert last["selfplay/games"] > len(read_games(trained / "games.jsonl")) > 10
    assert last["selfplay/pool"] == 3
    assert 0 <= last["selfplay/score"] <= 1
    assert all(0 <= last[f"selfplay/score_side_{side}"] <= 1 for side in range(3))
    assert last["selfplay/best_pool_rating"] >= last["selfplay/pool_rating"]
    assert {"selfplay/rating", "selfplay/score_random", "selfplay/seat_imbalance"} <= last.keys()
    printed = (trained.parent / "printed").read_text().replace("\n", "  ")
    for name in ("rating", "pool_rating", "best_pool_rating"):
        assert f"  selfplay/{name} {last[f'selfplay/{name}']:.4g}  " in printed
    assert any(line["time/opponents"] > 0 for line in map(json.loads, lines))


def test_a_pool_begins_with_other_runs(trained, tmp_path):
    first, second = trained, tmp_path / "new"
    member = min((first / "pool").iterdir())
    given = f"{first},{member}"
    Run.configure(GAME, {**SMALL, "run": second, "selfplay.first": given}).train(QUIET)
    latest = checkpoint.load(first / "checkpoint.pt")
    names = names_in(second / "pool")
    assert f"old@{latest['timesteps']}.pt" in names
    assert len(names) == 2 + 3  # those given do not count as snapshots
    kept = weights(second / "pool" / f"old@{latest['timesteps']}.pt")
    assert all(torch.equal(kept[key], latest["policy"][key]) for key in kept)
    Run.open(second, {"train.total_timesteps": 800}).train(QUIET)  # without the other run's help
    assert f"old@{latest['timesteps']}.pt" in names_in(second / "pool")


def test_a_run_takes_up_self_play_when_it_is_resumed_and_stops_it(tmp_path):
    folder = tmp_path / "run"
    without = {name: SMALL[name] for name in SMALL if not name.startswith("selfplay")}
    Run.configure(GAME, {**without, "run": folder}).train(QUIET)
    assert not (folder / "pool").exists()
    begun = checkpoint.load(folder / "checkpoint.pt")
    on = {name: SMALL[name] for name in SMALL if name.startswith("selfplay")}
    Run.open(folder, {**on, "train.total_timesteps": 800}).train(QUIET)
    games = (folder / "games.jsonl").read_text()
    oldest = folder / "pool" / f"learner@{begun['timesteps']}.pt"
    kept = weights(oldest)
    assert all(torch.equal(kept[key], begun["policy"][key]) for key in kept)
    off = {"selfplay.opponents": "none", "train.total_timesteps": 1200}
    Run.open(folder, off).train(QUIET)
    assert (folder / "games.jsonl").read_text() == games
    kept, names = _state_of(folder), names_in(folder / "pool")
    assert [f"{each['name']}.pt" for each in kept["pool"]["members"]] == names
    Run.open(folder, {**on, "train.total_timesteps": 1600}).train(QUIET)
    assert oldest.exists()  # the first of a pool stays
    assert _state_of(folder)["games"] > kept["games"] > 0
    assert (folder / "games.jsonl").read_text().startswith(games)
    assert len((folder / "games.jsonl").read_text()) > len(games)


@pytest.mark.parametrize(
    ("task", "settings", "message"),
    [
        ("squared", {}, r"cannot be used with squared.*two sides or more"),
        ("CartPole-v1", {}, r"cannot be used with CartPole-v1.*two sides or more"),
        (GAME, {"selfplay.opponents": "past"}, r"got 'past'.*Opponents: latest, uniform"),
        (GAME, {"policy.agents": "by-name"}, r"needs one policy for all agents; got .* 'by-name'"),
        (GAME, {"selfplay.opponents": "none"}, r"no effect with selfplay.opponents none"),
        (GAME, {"selfplay.opponents": "random"}, "pool_size has no effect .*never plays snapshots"),
        (
            GAME,
            {"selfplay.opponents": "uniform,selfplay_games:LIVES"},
            "is an instance of tuple",
        ),
    ],
)
def test_impossible_self_play_is_refused_before_anything_starts(
    task, settings, message, tmp_path, monkeypatch
):
    monkeypatch.setattr(Run, "make_vecenv", _only_in_this_process(Run.make_vecenv))
    with pytest.raises(SettingError, match=message):
        Run.configure(task, {**SMALL, **settings, "run": tmp_path / "run"}).train(QUIET)
    assert not (tmp_path / "run").exists()


def test_a_player_in_a_file_is_found_from_any_folder(tmp_path, monkeypatch):
    (tmp_path / "own.py").write_text("from selfplay_games import three\n")
    monkeypatch.chdir(tmp_path)
    given = {**SMALL, "selfplay.opponents": "own.py:three:0.5, uniform:0.5"}
    config = Run.configure(GAME, given).config
    assert config.selfplay.opponents == f"{tmp_path}/own.py:three:0.5,uniform:0.5"


def _only_in_this_process(make_vecenv):
    def checked(self, *arguments):
        assert self.config.vec.num_envs == 1
        return make_vecenv(self, *arguments)

    return checked


def test_members_that_do_not_fit_are_refused_before_anything_starts(trained, tmp_path, monkeypatch):
    old = trained
    monkeypatch.setattr(Run, "make_vecenv", _only_in_this_process(Run.make_vecenv))
    given = {**SMALL, "run": tmp_path / "new", "selfplay.first": str(old)}
    with pytest.raises(CheckpointError, match=r"another architecture.*\(8, 3\) there, \(16, 3\)"):
        Run.configure(GAME, {**given, "policy.hidden_size": 16}).train(QUIET)
    with pytest.raises(CheckpointError, match="the same network and the same spaces"):
        Run.configure("multiagent", given).train(QUIET)
    with pytest.raises(SettingError, match=r"old@\d+ occurs twice"):
        Run.configure(GAME, {**given, "selfplay.first": f"{old},{old}"}).train(QUIET)
    renamed = shutil.copytree(old, tmp_path / "learner")
    with pytest.raises(SettingError, match=r"learner.* is the name of a player of every run"):
        Run.configure(GAME, {**given, "selfplay.first": str(renamed)}).train(QUIET)
    copy = shutil.copy(old / "checkpoint.pt", tmp_path / "learner@5.pt")
    with pytest.raises(SettingError, match="learner is the name of a player of every run"):
        Run.configure(GAME, {**given, "selfplay.first": str(copy)}).train(QUIET)
    with pytest.raises(CheckpointError, match="There is no checkpoint"):
        Run.configure(GAME, {**given, "selfplay.first": "nowhere"}).train(QUIET)
    given = {**SMALL, "run": tmp_path / "new", "selfplay.opponents": "uniform,selfplay_games:thre"}
    with pytest.raises(UnknownNameError, match="no attribute 'thre'"):
        Run.configure(GAME, given).train(QUIET)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("last", "message"),
    [
        ("raise KeyError('lost')", "KeyError: 'lost'"),
        ("return 10", r"10, which is not in Discrete"),
    ],
)
def test_a_script_that_fails_in_a_game_costs_no_checkpoint_and_no_game(last, message, tmp_path):
    script, folder = tmp_path / f"fails_{len(last)}.py", tmp_path / "run"
    script.write_text(
        f"calls = []\n"
        f"def late(observation):\n"
        f"    calls.append(0)\n"
        f"    if len(calls) > 150:\n"
        f"        {last}\n"
        f"    return 3\n"
    )
    given = {**SMALL, "selfplay.opponents": f"uniform,{script}:late", "selfplay.self_share": 0.0}
    name = f"player {script.name}:late failed"
    with pytest.raises(ActionError, match=rf"{name}: .*{message}"):
        Run.configure(GAME, {**given, "run": folder}).train(QUIET)
    kept, games = checkpoint.load(folder / "checkpoint.pt"), (folder / "games.jsonl").read_text()
    assert 0 < kept["timesteps"] < 400
    assert len(games.splitlines()) == kept["selfplay"]["games"] > 20
    assert sum(map(sum, kept["selfplay"]["seats"]["counts"])) == kept["selfplay"]["games"]
    Run.open(folder, {"selfplay.opponents": "uniform"}).train(QUIET)
    assert checkpoint.load(folder / "checkpoint.pt")["timesteps"] >= 400
    assert (folder / "games.jsonl").read_text().startswith(games)


def test_a_resume_takes_up_each_setting(trained, tmp_path):
    def resumed(**settings):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        shutil.copytree(trained, folder)
        given = {f"selfplay.{name}": value for name, value in settings.items()}
        Run.open(folder, {**given, "train.total_timesteps": 480}).train(QUIET)
        state = checkpoint.load(folder / "checkpoint.pt")
        return state["selfplay"], torch.cat([part.flatten() for part in state["policy"].values()])

    same, learned = resumed()
    for changed in ({"opponents": "latest,random:0"}, {"self_share": 0.0}, {"active": 1}):
        assert not torch.equal(resumed(**changed)[1], learned)
    assert len(same["pool"]["members"]) == 3
    assert len(resumed(pool_size=2)[0]["pool"]["members"]) == 2
    assert resumed(snapshot_interval=1000)[0]["pool"] == _state_of(trained)["pool"] != same["pool"]
    kept = resumed(window=2)[0]["record"]["scores"].values()
    assert max(len(scores) for by_side in kept for scores in by_side.values()) == 2


def _state_of(folder):
    return checkpoint.load(folder / "checkpoint.pt")["selfplay"]


@pytest.mark.parametrize(("name", "value"), [("sides", "agents"), ("first", "elsewhere")])
def test_what_a_pool_depends_on_is_fixed(name, value, trained):
    with pytest.raises(SettingError, match=f"selfplay.{name} cannot change within a run"):
        Run.open(trained, {f"selfplay.{name}": value})


def test_a_damaged_pool_is_refused_and_kept(trained, tmp_path):
    folder = trained
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    member = sorted((copy / "pool").iterdir())[1]
    member.write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match=rf"{member.name} cannot be read"):
        Run.open(copy, {"train.total_timesteps": 800}).train(QUIET)
    assert names_in(copy / "pool") == names_in(folder / "pool")
    assert (copy / "games.jsonl").read_text() == (folder / "games.jsonl").read_text()


def test_a_checkpoint_with_scores_of_another_form_is_refused_and_kept(trained, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(trained, copy)
    state = checkpoint.load(copy / "checkpoint.pt")
    state["selfplay"]["record"]["scores"] = {"random": [1.0, 0.0]}  # not by side
    checkpoint.save(copy / "checkpoint.pt", state)
    with pytest.raises(CheckpointError, match="copy has scores of self-play without the policy"):
        Run.open(copy, {"train.total_timesteps": 800}).train(QUIET)
    assert names_in(copy / "pool") == names_in(trained / "pool")
    assert (copy / "games.jsonl").read_text() == (trained / "games.jsonl").read_text()


def test_a_first_member_without_weights_is_refused(tmp_path):
    path = tmp_path / "empty.pt"
    checkpoint.save(path, {"timesteps": 1})
    given = {**SMALL, "run": tmp_path / "new", "selfplay.first": str(path)}
    with pytest.raises(CheckpointError, match=r"empty\.pt holds no weights of a policy"):
        Run.configure(GAME, {**given, "selfplay.opponents": "uniform"}).train(QUIET)
    assert not (tmp_path / "new").exists()
