"""Players by name: runs, checkpoints, random, scripted, tree search, perfect play."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from match_runs import trained

from pufferlib.exceptions import ArgumentError, CheckpointError, UnknownNameError
from pufferlib.matches import play, score
from pufferlib.matches.contenders import Snapshot
from pufferlib.matches.match import open_arena
from pufferlib.matches.playing import play_games
from pufferlib.matches.schedule import Fixture
from pufferlib.matches.spiel import Solver, SpielPlayer, perfect
from pufferlib.registry import slimevolley
from pufferlib.training import checkpoint

TASK = "open_spiel/tic_tac_toe"


def test_runs_play_each_other_and_are_named_by_their_steps(runs):
    games = play(list(runs), games=40)
    assert len(games) == 40
    assert {name for game in games for name in game.players} == {"plain@64", "recurrent@64"}
    assert {game.task for game in games} == {TASK}
    assert all(sum(game.returns) == 0 and 5 <= game.steps <= 9 for game in games)
    assert play(list(runs), games=40) == games


def test_greedy_runs_have_another_name_and_repeat_themselves(runs):
    games = play(list(runs), games=20, is_greedy=True)
    names = {"plain@64-greedy", "recurrent@64-greedy"}
    assert {name for game in games for name in game.players} == names
    # The game has no chance: one game for each order of the two.
    assert len({(game.players, game.returns, game.steps) for game in games}) == 2


def test_a_checkpoint_anywhere_in_the_folder_of_a_run_is_a_player(runs, tmp_path):
    run = Path(shutil.copytree(runs[0], tmp_path / "copied"))
    state = checkpoint.load(run / "checkpoint.pt")
    for name, steps in (("best.pt", 32), ("pool/early.pt", 16)):
        (run / name).parent.mkdir(exist_ok=True)
        kept = {"policy": state["policy"], "timesteps": steps}
        checkpoint.save(run / name, kept)
    games = play([str(run), str(run / "best.pt"), str(run / "pool" / "early.pt")], games=2)
    names = {name for game in games for name in game.players}
    assert names == {"copied@64", "copied@32", "copied@16"}


def test_a_run_of_a_group_is_named_with_it(runs, tmp_path):
    group = tmp_path / "group"
    for seed in (1, 2):
        shutil.copytree(runs[0], group / f"seed-{seed}")
    (group / "seeds.json").write_text("{}")
    games = play([str(group / "seed-1"), str(group / "seed-2")], games=2)
    assert {*games[0].players} == {"group/seed-1@64", "group/seed-2@64"}
    with pytest.raises(CheckpointError, match=r"is a group of runs\. Name one of them"):
        play([str(group), "random"])


def test_weights_are_those_of_the_checkpoint(runs, tmp_path):
    run = Path(shutil.copytree(runs[0], tmp_path / "set"))
    state = checkpoint.load(run / "checkpoint.pt")
    (bias,) = [name for name, value in state["policy"].items() if value.shape == (9,)]
    state["policy"][bias][:] = 0
    state["policy"][bias][4] = 1e6  # the middle, always
    checkpoint.save(run / "checkpoint.pt", state)
    with open_arena([str(run), "random"], num_envs=1) as arena:
        observations, _ = arena.vecenv.reset(0)
        rows = np.arange(1)
        assert arena.contenders[0].make(0).act(observations[rows], rows == 0, rows).tolist() == [4]


def test_perfect_play_against_itself_is_a_draw():
    with open_arena(["perfect", "random"], env=TASK) as arena:
        solver = Solver(arena.vecenv.get_attr("game", [0])[0], TASK)
        players = {
            name: SpielPlayer(name, arena.vecenv, perfect(solver, seed))
            for seed, name in enumerate(["one", "two"])
        }
        games = []
        fixtures = [Fixture(("one", "two"), seed, (0, 1)) for seed in range(100)]
        play_games(arena.vecenv, fixtures, players, arena.sides, TASK, games.extend)
    assert {game.ranks for game in games} == {(1, 1)}
    assert {game.steps for game in games} == {9}
    # 5,478 positions can be reached (OEIS A008907), of which 958 are terminal.
    assert len(solver._values) == 5478 - 958


def test_perfect_play_never_loses_and_mcts_mostly_wins():
    games = play(["random", "perfect", "mcts:100"], games=40, env=TASK)
    assert score(games, "random", "perfect").wins == 0
    assert score(games, "mcts:100", "perfect").wins == 0
    assert score(games, "perfect", "random").mean > 0.9
    assert score(games, "mcts:100", "random").mean > 0.9
    assert play(["random", "perfect", "mcts:100"], games=40, env=TASK) == games


def test_mcts_finds_the_winning_move_in_a_game_with_another_first_player():
    # In nim (1, 3, 5, 7) the second player wins; both are the same game to a search.
    games = play(["mcts:2000", "perfect"], games=10, env="open_spiel/nim")
    assert score(games, "perfect", "mcts:2000", side=1).mean == 1


@pytest.mark.parametrize(
    ("players", "task", "message"),
    [
        (["mcts:200", "random"], "open_spiel/kuhn_poker", "mcts:200 searches games in which play"),
        (["mcts:200", "random"], "open_spiel/goofspiel", "simultaneous"),
        (["mcts:0", "random"], TASK, "must be mcts:SIMULATIONS, a whole number of at least 1"),
        (["mcts", "random"], TASK, "must be mcts:SIMULATIONS"),
        (["mcts:9", "random"], "match_games:Lives", "mcts:9 needs a game of the family open_spiel"),
        (["perfect", "random"], "match_games:Lives", "perfect needs a game of the family open_spi"),
        (["perfect", "random"], "open_spiel/kuhn_poker", "perfect plays games of two players with"),
        (["perfect", "random"], "open_spiel/connect_four", "has more than 1,000"),
        (["random", "random"], TASK, "random and random are both random"),
        (["random"], TASK, "needs two players or more"),
        (["random", "mcts:9"], None, "Name the environment with --env"),
        (["random", "match_games:one"], "CartPole-v1", "each agent of CartPole-v1 plays alone"),
        (["random", "match_games:of_two"], TASK, "cannot be called with an observation: missing"),
        (["random", "tests/match_games.py"], TASK, "names a file but nothing in it"),
        (["random", "match_games:NUMBER"], TASK, "match_games:NUMBER is an instance of int"),
    ],
)
def test_players_that_cannot_play_are_refused(players, task, message, monkeypatch):
    monkeypatch.setattr("pufferlib.matches.spiel.MAX_POSITIONS", 1000)
    with pytest.raises(ArgumentError, match=message):
        play(players, env=task)


@pytest.mark.parametrize(
    ("player", "message"),
    [
        ("rendom", "Did you mean 'random'"),
        ("runs/none", "There is no player 'runs/none'. Players are the folder of a run, a check"),
        ("match_games:onee", "Did you mean 'one'"),
        ("no_such_module:one", "There is no module 'no_such_module'"),
    ],
)
def test_unknown_players_are_named(player, message):
    with pytest.raises(UnknownNameError, match=message):
        play(["random", player], env=TASK)


def changed(run, folder, **env):
    """Return a copy of a run whose settings name another environment."""
    copy = Path(shutil.copytree(run, folder))
    settings = json.loads((copy / "config.json").read_text())
    settings["env"].update(env)
    (copy / "config.json").write_text(json.dumps(settings))
    return str(copy)


def test_runs_of_unlike_environments_are_refused(runs, tmp_path):
    kuhn = changed(runs[0], tmp_path / "kuhn", task="open_spiel/kuhn_poker")
    with pytest.raises(ArgumentError, match=r"is of open_spiel/tic_tac_toe, .* of open_spiel/kuhn"):
        play([runs[0], kuhn])
    three = changed(kuhn, tmp_path / "three", kwargs={"players": 3})
    with pytest.raises(ArgumentError, match=r"env.kwargs.players is None in .*, 3 in .*Give it"):
        play([kuhn, three])
    with pytest.raises(CheckpointError, match="another architecture"):
        play([kuhn, three], overrides={"env.kwargs.players": 3})


@pytest.mark.skipif(not slimevolley.FAMILY.is_installed, reason="slimevolleygym is missing")
def test_runs_of_another_environment_play_the_one_that_is_named(runs, tmp_path):
    one = trained(tmp_path / "one", "SlimeVolley-v0", env__kwargs__num_envs=4)
    task = "SlimeVolleyTwoPlayer-v0"
    two = changed(one, tmp_path / "other" / "one", task=task, kwargs={})  # seeds are by name
    options = {"env": task, "overrides": {"env.kwargs.max_steps": 150}, "is_greedy": True}
    with pytest.raises(ArgumentError, match=r"is of SlimeVolley-v0, .*Name the one that all play"):
        play([str(one), two])
    games, expected = (play([str(run), "baseline"], games=4, **options) for run in (one, two))
    assert {name for game in games for name in game.players} == {"one@128-greedy", "baseline"}
    assert [game.returns for game in games] == [game.returns for game in expected]
    assert any(game.returns != (0, 0) for game in games)
    with pytest.raises(ArgumentError, match=r"checkpoint.pt cannot play SlimeVolleyTwoPlayer-v0"):
        play([runs[0], "baseline"], **options)


@pytest.fixture(scope="module")
def waiting(tmp_path_factory):
    return str(trained(tmp_path_factory.mktemp("waiting") / "run", "match_games:Waiting"))


@pytest.mark.parametrize(
    ("task", "kind", "spaces"),
    [
        ("Buttons", "actions", r"Discrete\(8\); .* are MultiDiscrete\(\[2 2 2 2\]\)"),  # 8 numbers
        ("Scaled", "observations", r"Box\(0.0, 8.0, .* are Box\(0.0, 80.0, "),
    ],
)
def test_runs_of_another_environment_with_other_spaces_are_refused(task, kind, spaces, waiting):
    games = play([waiting, "match_games:one"], env="match_games:Lives", games=2)
    assert {game.task for game in games} == {"match_games:Lives"}
    message = rf"cannot play match_games:{task}: .* match_games:Waiting, whose {kind} are {spaces}"
    with pytest.raises(ArgumentError, match=message):
        play([waiting, "random"], env=f"match_games:{task}")


def test_settings_given_for_runs_also_change_those_of_another_environment(waiting):
    given = {"env.kwargs.absent": "player_0", "policy.name": "match_games:Moved"}
    config = Snapshot.open(waiting, given, "match_games:Lives").run.config
    assert config.policy.name == "match_games:Moved"
    assert (config.env.task, config.env.kwargs) == ("match_games:Waiting", {})


def test_a_file_of_functions_has_players(tmp_path):
    (tmp_path / "mine.py").write_text(
        "def first_legal(observation):\n"
        "    assert observation['turn'] == 1\n"
        "    return observation['action_mask'].argmax()\n"
    )
    games = play([f"{tmp_path / 'mine.py'}:first_legal", "perfect"], env=TASK, games=20)
    assert {name for game in games for name in game.players} == {"mine.py:first_legal", "perfect"}
    assert score(games, "mine.py:first_legal", "perfect").wins == 0


@pytest.mark.skipif(not slimevolley.FAMILY.is_installed, reason="slimevolleygym is missing")
def test_the_baseline_of_slime_volleyball_beats_a_random_player_from_both_sides():
    games = play(["baseline", "random"], env="SlimeVolleyTwoPlayer-v0", games=2)
    assert [score(games, "baseline", "random", side).mean for side in (0, 1)] == [1, 1]
    with pytest.raises(UnknownNameError, match="There is no player 'baseline'"):
        play(["baseline", "random"], env=TASK)
