"""The record of games."""

import pytest

from pufferlib.exceptions import ArgumentError
from pufferlib.rating import Game, append_games, read_games
from pufferlib.rating.games import ranks_of

GAME = Game("tic_tac_toe", ("a", "b"), (1.0, -1.0), (1, 2), 7, 3)


def test_games_are_read_as_they_were_appended(tmp_path):
    draw = Game("tic_tac_toe", ("b", "a"), (0.0, 0.0), (1, 1), 9)
    append_games(tmp_path / "games.jsonl", [GAME])
    append_games(tmp_path / "games.jsonl", [draw])
    assert read_games(tmp_path / "games.jsonl") == [GAME, draw]


def test_a_line_cut_short_by_a_kill_is_left_out(tmp_path):
    path = tmp_path / "games.jsonl"
    append_games(path, [GAME, GAME])
    path.write_text(path.read_text()[:-5])
    assert read_games(path) == [GAME]


def test_games_are_appended_after_a_line_cut_short(tmp_path):
    path = tmp_path / "games.jsonl"
    for size in (-5, 7):
        path.unlink(missing_ok=True)
        append_games(path, [GAME, GAME])
        path.write_text(path.read_text()[:size])  # cut in the second line, in the first
        whole = read_games(path)
        append_games(path, [GAME])
        assert read_games(path) == [*whole, GAME]


def test_what_is_no_game_is_named_by_its_line(tmp_path):
    path = tmp_path / "games.jsonl"
    append_games(path, [GAME])
    with path.open("a") as file:
        file.write('{"task": "tic_tac_toe"}\n')
    with pytest.raises(ArgumentError, match=r"Line 2 of .*games\.jsonl is no game"):
        read_games(path)
    with pytest.raises(ArgumentError, match="cannot be read"):
        read_games(tmp_path / "none.jsonl")


@pytest.mark.parametrize(
    ("returns", "ranks"),
    [((1, -1), (1, 2)), ((0, 0), (1, 1)), ((3, 5, 5, 1), (3, 1, 1, 4)), ((0, 1e-9), (1, 1))],
)
def test_equal_returns_share_a_rank(returns, ranks):
    assert ranks_of(returns) == ranks
