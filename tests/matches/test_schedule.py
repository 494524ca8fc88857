"""Who plays which side of which game, and which games are missing."""

import collections
import itertools

import pytest

from pufferlib.matches.schedule import missing, pairing
from pufferlib.rating import Game


def games_of(fixtures):
    zeros, ones = (0.0,) * 9, (1,) * 9
    return [
        Game("t", each.players, zeros[: len(each.players)], ones[: len(each.players)], 1, each.seed)
        for each in fixtures
    ]


@pytest.mark.parametrize("num_sides", [2, 3, 4, 5])
@pytest.mark.parametrize("others", [[], ["c"], ["c", "d", "e", "f"]])
def test_every_player_has_every_side_equally_often(num_sides, others):
    fixtures = pairing("a", "b", others, num_sides, games=60, seed=0)
    assert len(fixtures) == 60
    seats = collections.Counter(
        (name, side) for each in fixtures for side, name in enumerate(each.players)
    )
    for name in ("a", "b", *others):
        assert len({seats[name, side] for side in range(num_sides)}) == 1
    for each in fixtures:
        assert [each.players[side] for side in each.pair] == ["a", "b"]
        if len(others) >= num_sides - 2:
            assert len(set(each.players)) == num_sides
    by_seed = collections.Counter(each.seed for each in fixtures)
    assert set(by_seed.values()) == {num_sides}


def test_the_number_of_games_is_rounded_up():
    assert [len(pairing("a", "b", ["c"], 3, games, seed=0)) for games in (1, 3, 100)] == [3, 3, 102]


def test_more_games_begin_with_the_same_and_the_order_of_the_two_does_not_matter():
    assert pairing("a", "b", ["c"], 3, 60, seed=0)[:30] == pairing("b", "a", ["c"], 3, 30, seed=0)
    assert pairing("a", "b", [], 2, 60, seed=0) != pairing("a", "b", [], 2, 60, seed=1)


def test_pairings_have_their_own_seeds():
    seeds = [
        {each.seed for each in pairing(*pair, [], 2, 100, seed=0)}
        for pair in itertools.combinations("abcd", 2)
    ]
    assert len(set().union(*seeds)) == 6 * 50


@pytest.mark.parametrize("num_sides", [2, 3, 4])
def test_what_was_played_is_not_missing(num_sides):
    fixtures = pairing("a", "b", [], num_sides, 24, seed=0)
    assert missing(fixtures, games_of(fixtures)) == []
    assert missing(fixtures, games_of(fixtures[:7])) == fixtures[7:]
    assert missing(fixtures, games_of(fixtures[7:])) == fixtures[:7]
    assert missing(fixtures, games_of(pairing("a", "c", [], num_sides, 24, seed=0))) == fixtures
    assert missing(fixtures, games_of(pairing("a", "b", [], num_sides, 24, seed=1))) == fixtures


def test_other_players_of_the_other_sides_do_not_make_games_missing():
    before = pairing("a", "b", ["c"], 4, 24, seed=0)
    now = pairing("a", "b", ["c", "d", "e"], 4, 24, seed=0)
    assert before != now
    assert missing(now, games_of(before)) == []
    assert missing(now, games_of(before[:8])) == now[8:]
