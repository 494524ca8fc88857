"""Scores of one player against another."""

import math

import pytest
from scipy.stats import binomtest

from pufferlib.matches import Score, score
from pufferlib.matches.score import repeated
from pufferlib.rating import Game
from pufferlib.rating.games import ranks_of


def game(players, returns, steps=1):
    return Game("t", tuple(players), tuple(returns), ranks_of(returns), steps)


@pytest.mark.parametrize(("wins", "games"), [(0, 5), (3, 10), (50, 100), (1000, 1000)])
def test_the_interval_is_wilsons(wins, games):
    expected = binomtest(wins, games).proportion_ci(method="wilson")
    found = Score(games, wins, wins, 0).interval()
    assert found == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_no_games_have_no_score():
    none = score([game("bc", (1, 0))], "a", "b")
    assert none.games == 0
    assert math.isnan(none.mean)
    assert all(math.isnan(each) for each in none.interval())


def test_wins_ties_and_losses_are_those_of_the_player_in_its_seat():
    games = [game("ab", (1, -1)), game("ba", (1, -1)), game("ba", (0, 0)), game("ac", (1, -1))]
    assert score(games, "a", "b") == Score(3, 1.5, 1, 1)
    assert score(games, "b", "a") == Score(3, 1.5, 1, 1)
    assert score(games, "a", "b", side=0) == Score(1, 1, 1, 0)
    assert score(games, "a", "b", side=1) == Score(2, 0.5, 0, 1)
    assert score(games, "a", "b").losses == 1


def test_players_with_several_sides_are_compared_by_all_pairs_of_sides():
    # a has ranks 1 and 4, b 2 and 3: a wins two of four pairs.
    assert score([game("abba", (9, 5, 4, 1))], "a", "b") == Score(1, 0.5, 0, 1)
    # a has ranks 1 and 3, b 2: one of two; without the worse side, all.
    assert score([game("aba", (9, 5, 4))], "a", "b") == Score(1, 0.5, 0, 1)
    assert score([game("aba", (9, 5, 4))], "a", "b", side=0) == Score(1, 1, 1, 0)
    # Of three players, only the two count.
    assert score([game("acb", (2, 9, 1))], "a", "b") == Score(1, 1, 1, 0)


def test_players_that_repeat_a_game_are_found():
    names = ("a-greedy", "b-greedy")
    same = [game(names, (1, -1), 5)] * 10
    assert repeated(same) == [names]
    assert repeated(same[:9]) == []
    assert repeated([*same, game(names, (1, -1), 6)]) == []
    assert repeated([*same, *[game(names[::-1], (1, -1), n % 2) for n in range(10)]]) == [names]
    scripts = ("my.py:one", "a-greedy")
    assert repeated([game(scripts, (1, -1), 5)] * 10) == [scripts]
    for draws in ("perfect", "random", "mcts:9", "a@64"):
        assert repeated([game(("my.py:one", draws), (1, -1), 5)] * 10) == []
    assert repeated([game(("a-greedy", "perfect"), (0, 0), 9)] * 10) == []
