"""A round robin is kept in a file, continues from it, and is rated."""

import json
import shutil
from pathlib import Path

import match_games
import pytest

from pufferlib.exceptions import ActionError, ArgumentError
from pufferlib.matches import rank
from pufferlib.rating import Game, append_games, fit, read_games
from pufferlib.training import checkpoint

GAME = "match_games:Lives"
TASK, HEX = "open_spiel/tic_tac_toe", "open_spiel/hex"


def board(size):
    return {"env.kwargs.board_size": size}


def by_players(games):
    return sorted(games, key=lambda game: (game.players, game.seed))


def test_players_are_ordered_by_what_they_win(tmp_path):
    names = [f"match_games:{name}" for name in ("one", "two", "three", "five")]
    ranking = rank(names, games=50, path=tmp_path, env=GAME)
    assert ranking.path == tmp_path / "games.jsonl"
    assert list(ranking.games) == read_games(ranking.path)
    assert len(ranking.games) == ranking.new == 10 * 50
    assert {player.games for player in ranking.ratings.players} == {4 * 50}
    order = [player.name for player in ranking.ratings.players if player.name != "random"]
    assert order == names[::-1]
    assert ranking.ratings["random"].rating == 0
    assert ranking.ratings.players == fit(read_games(ranking.path)).players


def test_games_in_the_file_are_not_played_again(tmp_path):
    path = tmp_path / "games.jsonl"
    names = ["match_games:one", "match_games:five"]
    first = rank(names, games=20, path=path, env=GAME)
    text = path.read_text()
    again = rank(names, games=20, path=path, env=GAME)
    assert (again.new, again.games) == (0, first.games)
    assert path.read_text() == text
    names.append("match_games:two")
    more = rank(names, games=20, path=path, env=GAME)
    assert path.read_text().startswith(text)
    assert more.new == 3 * 20
    alone = rank(names, games=20, path=tmp_path / "alone", env=GAME)
    assert by_players(more.games) == by_players(alone.games)
    assert rank(names, games=30, path=path, env=GAME).new == 6 * 10


def test_a_ranking_that_was_stopped_continues(tmp_path):
    names = ["perfect", "mcts:20"]

    def stop(done, total):
        if done >= 50:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rank(names, games=40, path=tmp_path, env=TASK, progress=stop)
    before = read_games(tmp_path / "games.jsonl")
    assert 50 <= len(before) < 80
    seen = []
    rest = rank(names, games=40, path=tmp_path, env=TASK, progress=lambda *n: seen.append(n))
    assert rest.games[: len(before)] == tuple(before)
    assert seen[-1] == (120 - len(before), 120 - len(before))
    whole = rank(names, games=40, path=tmp_path / "whole", env=TASK)
    # Only in the pairing in which it was stopped may players draw other numbers.
    assert len({*rest.games} & {*whole.games}) >= 80
    assert [(game.players, game.seed) for game in by_players(rest.games)] == [
        (game.players, game.seed) for game in by_players(whole.games)
    ]


def test_games_before_a_failure_are_in_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(match_games.FailsLater, "calls", 0)
    names = ["match_games:FailsLater", "match_games:one"]
    with pytest.raises(ActionError, match="RuntimeError: tired"):
        rank(names, games=60, path=tmp_path, env=GAME, num_envs=2)
    kept = read_games(tmp_path / "games.jsonl")
    assert 20 <= len(kept) <= 40
    monkeypatch.setattr(match_games.FailsLater, "limit", 10_000)
    ranking = rank(names, games=60, path=tmp_path, env=GAME, num_envs=2)
    assert len(ranking.games) == 180
    assert list(ranking.games[: len(kept)]) == kept


def test_a_file_of_other_games_is_refused(tmp_path):
    names = ["match_games:one", "match_games:five"]
    path = rank(names, games=2, path=tmp_path, env=GAME).path
    with pytest.raises(ArgumentError, match=f"has games of {GAME}; the players play {TASK}"):
        rank(["mcts:9"], games=2, path=path, env=TASK)
    three = {"env.kwargs.agents": ["a", "b", "c"]}
    with pytest.raises(ArgumentError, match="has games of 2 sides; those of the players have 3"):
        rank(names, games=2, path=path, env=GAME, overrides=three)
    with pytest.raises(ArgumentError, match="cannot be"):
        rank(names, games=2, path=path / "below", env=GAME)


def test_the_record_of_a_run_s_training_is_not_added_to(runs):
    for path in (Path(runs[0]), Path(runs[0]) / "games.jsonl"):
        with pytest.raises(ArgumentError, match=r"the games of a run's training.* with --file"):
            rank([runs[0]], games=2, path=path)
    assert not (Path(runs[0]) / "games.jsonl").exists()


def test_games_of_players_who_are_not_named_are_rated_too(tmp_path):
    first = rank(["match_games:one"], games=10, path=tmp_path, env=GAME)
    game = first.games[0]
    strangers = json.loads(json.dumps({"players": ["random", "stranger"]}))
    append_games(first.path, [game.__class__(GAME, tuple(strangers["players"]), (1, 0), (1, 2), 3)])
    again = rank(["match_games:one"], games=10, path=tmp_path, env=GAME)
    assert again.new == 0
    assert again.ratings["stranger"].games == 1


def test_without_a_random_player_ratings_are_relative_to_the_mean(tmp_path):
    names = ["match_games:one", "match_games:five"]
    ranking = rank(names, games=10, path=tmp_path, env=GAME, with_random=False)
    assert ranking.ratings.anchor is None
    assert sum(player.rating for player in ranking.ratings.players) == pytest.approx(0, abs=1e-6)


def test_games_with_other_arguments_are_not_reused(tmp_path):
    path = rank(["mcts:3"], games=2, path=tmp_path, env=HEX, overrides=board(3)).path
    text = path.read_text()
    message = r"has games in which env.kwargs.board_size is 3; here it is 5\. Name another file"
    with pytest.raises(ArgumentError, match=message):
        rank(["mcts:3"], games=2, path=tmp_path, env=HEX, overrides=board(5))
    assert path.read_text() == text
    assert rank(["mcts:3"], games=2, path=tmp_path, env=HEX, overrides=board(3)).new == 0


def test_games_of_other_weights_with_the_same_name_are_not_reused(runs, tmp_path):
    run = Path(shutil.copytree(runs[0], tmp_path / "mine"))
    assert rank([str(run)], games=2, path=tmp_path).new == 2
    assert rank([str(run)], games=2, path=tmp_path).new == 0
    state = checkpoint.load(run / "checkpoint.pt")
    next(iter(state["policy"].values())).view(-1)[0] += 1
    checkpoint.save(run / "checkpoint.pt", state)
    with pytest.raises(ArgumentError, match="has games of another mine@64: its weights"):
        rank([str(run)], games=2, path=tmp_path)


def test_games_of_a_script_that_was_edited_are_not_reused(tmp_path):
    # A file is loaded once per process: its copy in another folder has the same name.
    players = []
    for number in (1, 2):
        file = tmp_path / str(number) / "mine.py"
        file.parent.mkdir()
        file.write_text(f"def always(observation): return {number}\n")
        players.append(f"{file}:always")
    assert rank(players[:1], games=2, path=tmp_path, env=GAME).new == 2
    assert rank(players[:1], games=2, path=tmp_path, env=GAME).new == 0
    with pytest.raises(ArgumentError, match=r"another mine.py:always.* the file of the script"):
        rank(players[1:], games=2, path=tmp_path, env=GAME)


def test_games_that_do_not_say_with_what_they_were_played_are_not_reused(tmp_path):
    path = tmp_path / "games.jsonl"
    append_games(path, [Game(GAME, ("random", "match_games:one"), (1, 0), (1, 2), 3, 5)])
    with pytest.raises(ArgumentError, match="do not say which arguments, weights and scripts"):
        rank(["match_games:one"], games=2, path=path, env=GAME)
