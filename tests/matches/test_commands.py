"""`puffer match` and `puffer rank`, as a user runs them."""

import re

import pytest

from pufferlib.cli.main import main
from pufferlib.rating import read_games

TASK = "open_spiel/tic_tac_toe"
GAME = "match_games:Lives"
ONE, FIVE = "match_games:one", "match_games:five"


@pytest.fixture(autouse=True)
def wide(monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)


def shown(capsys, *words):
    assert main([*words]) == 0
    return capsys.readouterr().out


def test_a_match_prints_the_score_in_all_seats(capsys, tmp_path):
    file = tmp_path / "kept" / "games.jsonl"
    words = ("match", FIVE, ONE, "--env", GAME, "--games", "20", "--games-file", str(file))
    heading, _, *rows = shown(capsys, *words).splitlines()
    assert heading == f"{GAME}, 20 games, seed 1000000: {FIVE} against {ONE}"
    games = read_games(file)
    for row, side, count in zip(rows, (None, 0, 1), (20, 10, 10), strict=True):
        own = [
            value
            for game in games
            for index, value in enumerate(game.returns)
            if game.players[index] == FIVE and side in (None, index)
        ]
        low = {20: "0.839", 10: "0.722"}[count]  # of Wilson's interval: n / (n + 1.96**2)
        expected = ["all"] if side is None else ["side", str(side)]
        expected += ["1.000", f"[{low},", "1.000]", str(count), "0", "0"]
        assert row.split() == [*expected, f"{sum(own) / count:.2f}", "2.0"]


def test_settings_of_the_environment_and_sides_are_taken(capsys):
    agents = ("--env.kwargs.agents", "['a_0', 'a_1', 'b_0', 'b_1']")
    words = ("match", FIVE, ONE, "--env", GAME, "--games", "8", *agents)
    assert "side 1" in shown(capsys, *words)
    assert "side 3" in shown(capsys, *words, "--sides", "agents")


def test_a_ranking_prints_and_draws_its_ratings(runs, capsys, tmp_path):
    words = ("rank", *runs, "perfect", "--games", "20")
    text = shown(capsys, *words)
    folder = tmp_path / "runs" / "rank-open_spiel-tic_tac_toe"
    assert f"{TASK}, 120 games in runs/rank-open_spiel-tic_tac_toe/games.jsonl: 120 new" in text
    lines = text.splitlines()
    assert lines[2].split()[:2] == ["1", "perfect"]
    anchor = next(line for line in lines[2:6] if " random " in line)
    assert re.fullmatch(r"\d +random +0 +0\.\d{3} +60", anchor)
    assert re.search(r"Side 0 of 2: [+-]\d+ \[[+-]\d+, [+-]\d+\], score 0\.\d{3}", text)
    assert len(read_games(folder / "games.jsonl")) == 120
    assert (folder / "ratings.svg").read_text().startswith("<?xml")
    again = shown(capsys, *words, "--picture", "mine.png")
    assert "120 games" in again
    assert "0 new, 120 from before" in again
    assert (tmp_path / "mine.png").is_file()


def test_ratings_that_do_not_describe_the_games_are_pointed_out(capsys, tmp_path):
    # Each beats the next, and the last the first.
    (tmp_path / "cycle.py").write_text(
        "def rock(observation): return 0\n"
        "def paper(observation): return 1\n"
        "def scissors(observation): return 2\n"
    )
    players = [f"cycle.py:{name}" for name in ("rock", "paper", "scissors")]
    text = shown(
        capsys, "rank", *players, "--env", "open_spiel/matrix_rps", "--games", "40", "--no-random"
    )
    assert "Ratings cannot describe these games" in text


def test_greedy_policies_that_repeat_a_game_are_pointed_out(runs, capsys):
    text = shown(capsys, "match", *runs, "--games", "20", "--greedy")
    assert "All games of" in text
    assert "and 1 more had the same returns and length" in text


def test_nash_conv_is_printed_without_games(capsys, tmp_path):
    text = shown(capsys, "rank", "random", "--nash-conv", "--env", "open_spiel/kuhn_poker")
    assert text.splitlines()[-1].split() == ["0.9167", "random"]
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["match", ONE, "random"], "Name the environment with --env"),
        (
            ["match", ONE, "random", "--env", GAME, "--games", "0"],
            "games must be a whole number of",
        ),
        (["match", ONE, "match_games:failing", "--env", GAME], "RuntimeError: no idea"),
        (["match", ONE, "random", "--env", "CartPole-v1"], "each agent of CartPole-v1 plays alone"),
        (["rank", ONE, "--nash-conv", "--file", "f", "--env", GAME], "--file has no effect with"),
        (
            ["rank", ONE, "--env", GAME, "--picture", "a.txt"],
            "--picture must end in .png, .svg, .pdf; got a.txt",
        ),
        (["match", ONE, "random", "--env", GAME, "--games-file", "/"], "/"),
    ],
)
def test_mistakes_are_one_line(words, message, capsys):
    assert main(words) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1


def test_a_match_adds_to_a_file_of_like_games_only(capsys, tmp_path):
    file = str(tmp_path / "games.jsonl")
    words = ["match", FIVE, ONE, "--env", GAME, "--games", "2", "--games-file", file]
    assert main([*words, "--seed", "1"]) == main([*words, "--seed", "2"]) == 0
    assert main([*words, "--env.kwargs.returning", "True"]) == 2
    assert "env.kwargs.returning is not given; here it is True" in capsys.readouterr().err
    assert len(read_games(tmp_path / "games.jsonl")) == 4
