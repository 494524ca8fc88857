"""Ratings are those of the models named, whatever the order of games and the anchor."""

import dataclasses
import itertools
import json
import math
import random

import numpy as np
import pytest
import torch
from rating_games import LOSS, TIE, WIN, free_for_all, game, meetings, round_robin

from pufferlib.exceptions import ArgumentError, UnknownNameError
from pufferlib.rating import fit

ELO = 400 / math.log(10)


@pytest.mark.parametrize("share", [0.5, 0.75, 0.9])
def test_two_players_have_the_rating_of_the_closed_form(share):
    games = 100_000  # the prior is worth less than 0.1 points
    ratings = fit(
        meetings("a", "random", wins=int(share * games), losses=games - int(share * games))
    )
    a = ratings["a"]
    assert a.rating == pytest.approx(400 * math.log10(share / (1 - share)), abs=0.1)
    half = 1.96 * ELO / math.sqrt(games * share * (1 - share))  # of the log odds, in Elo points
    assert a.high - a.rating == pytest.approx(half, rel=1e-3)
    assert a.rating - a.low == pytest.approx(half, rel=1e-3)
    assert (a.games, a.score) == (games, share)
    assert ratings.expected("a", "random") == pytest.approx(share, abs=1e-4)
    random_player = ratings["random"]
    assert (random_player.rating, random_player.low, random_player.high) == (0, 0, 0)


def test_a_tie_is_half_a_win_and_narrows_the_interval():
    without = fit(meetings("a", "random", wins=6000, losses=4000))["a"]
    ties = fit(meetings("a", "random", wins=2000, ties=8000))["a"]
    assert ties.score == without.score == 0.6
    assert ties.rating == pytest.approx(without.rating)
    # A game scores 1, 1/2 or 0: its variance is 0.2 + 0.8 / 4 - 0.36 = 0.04, without ties 0.24.
    assert (ties.high - ties.low) / (without.high - without.low) == pytest.approx(
        math.sqrt(0.04 / 0.24), rel=0.01
    )


def test_the_first_seat_has_the_advantage_of_the_closed_form():
    games = []
    for pair in (("a", "b"), ("b", "a")):
        games += [game(pair, WIN)] * 6000 + [game(pair, LOSS)] * 4000
    ratings = fit(games)
    assert ratings["a"].rating == pytest.approx(ratings["b"].rating, abs=1e-6)
    first, second = ratings.seat_advantage
    assert (first.sides, first.seat, first.games, first.score) == (2, 0, 20_000, 0.6)
    assert (second.seat, second.score) == (1, 0.4)
    assert first.rating == -second.rating == pytest.approx(400 * math.log10(0.6 / 0.4), abs=0.1)
    half = 1.96 * ELO / math.sqrt(20_000 * 0.24)
    assert first.high - first.rating == pytest.approx(half, rel=1e-3)


def log_posterior(parameters, names, games):
    """Return the logarithm of the posterior, game by game and order by order, in torch."""
    players, total = dict(zip(names, parameters, strict=False)), torch.zeros(())
    seats = parameters[len(names) :]
    for each in games:
        values = [players[name] + seats[seat] for seat, name in enumerate(each.players)]
        orders = [
            order
            for order in itertools.permutations(range(len(values)))
            if all(each.ranks[a] <= each.ranks[b] for a, b in itertools.pairwise(order))
        ]
        for order in orders:
            for place, side in enumerate(order):
                left = torch.stack([values[other] for other in order[place:]])
                total = total + (values[side] - left.logsumexp(0)) / len(orders)
    spread = parameters[: len(names)] - parameters[: len(names)].mean()
    return (
        total - (spread**2).sum() / 2 / (800 / ELO) ** 2 - (seats**2).sum() / 2 / (200 / ELO) ** 2
    )


@pytest.mark.parametrize("sides", [2, 3, 4])
def test_the_fit_is_that_of_another_optimizer(sides):
    # A game at random: a player may have several of its sides, sides may tie.
    rng, names = np.random.default_rng(sides), ["a", "b", "c", "random"]
    games = [
        game(rng.choice(names, sides).tolist(), rng.integers(1, sides + 1, sides).tolist())
        for _ in range(25)
    ]
    parameters = torch.zeros(len(names) + sides, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([parameters], max_iter=200, line_search_fn="strong_wolfe")

    def loss():
        optimizer.zero_grad()
        value = -log_posterior(parameters, names, games)
        value.backward()
        return value

    optimizer.step(loss)
    values = (parameters.detach().numpy() * ELO).tolist()
    ratings = fit(games)
    for name, value in zip(names, values, strict=False):
        assert ratings[name].rating == pytest.approx(value - values[3], abs=0.01)
    for seat, advantage in enumerate(ratings.seat_advantage):
        others = [values[4 + other] for other in range(sides) if other != seat]
        expected = values[4 + seat] - sum(others) / len(others)
        assert advantage.rating == pytest.approx(expected, abs=0.01)


def test_intervals_of_more_than_two_sides_come_from_the_hessian():
    strengths = {"random": 0.0, "a": 100.0, "b": 300.0}
    games = free_for_all(np.random.default_rng(0), strengths, 30, 3)
    ratings, names = fit(games), ["a", "b", "random"]
    seats = [seat.rating * 2 / 3 for seat in ratings.seat_advantage]  # from their mean, not others'
    at = torch.tensor([ratings[name].rating for name in names] + seats, dtype=torch.float64) / ELO
    hessian = torch.autograd.functional.hessian(lambda x: -log_posterior(x, names, games), at)
    covariance = torch.linalg.pinv(hessian).numpy() * ELO**2
    for i, name in enumerate(names[:2]):
        variance = covariance[i, i] + covariance[2, 2] - 2 * covariance[i, 2]
        player = ratings[name]
        assert player.high - player.rating == pytest.approx(1.96 * math.sqrt(variance), rel=1e-3)
    between = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    value, low, high = ratings.difference("b", "a")
    assert value == pytest.approx(ratings["b"].rating - ratings["a"].rating)
    assert (high - low) / 2 == pytest.approx(1.96 * math.sqrt(between), rel=1e-3)


@pytest.fixture(scope="module")
def tournament():
    """Return games of two and of four sides, with ties and an advantage of the first seat."""
    rng, strengths = np.random.default_rng(1), {"random": 0.0, "a": 100.0, "b": 250.0, "c": 500.0}
    pairs = round_robin(rng, strengths, 20, seat=50, ties=0.4)
    return pairs + free_for_all(rng, strengths, 60, 4)


def test_the_order_of_games_does_not_matter(tournament):
    first = fit(tournament)
    for seed in range(3):
        shuffled = tournament.copy()
        random.Random(seed).shuffle(shuffled)
        assert fit(shuffled).to_json() == first.to_json()


def test_the_anchor_moves_all_ratings_alike(tournament):
    fits = [fit(tournament, anchor) for anchor in ("random", "b", None)]
    assert [ratings.anchor for ratings in fits] == ["random", "b", None]
    assert fits[1]["b"].rating == 0
    assert sum(player.rating for player in fits[2].players) == pytest.approx(0, abs=1e-6)
    for ratings in fits:
        assert [player.name for player in ratings.players] == ["c", "b", "a", "random"]
        for one, two in itertools.combinations("abc", 2):
            assert ratings.difference(one, two) == pytest.approx(fits[0].difference(one, two))
            distance = ratings[one].rating - ratings[two].rating
            assert distance == pytest.approx(ratings.difference(one, two).rating)


def test_without_a_random_player_ratings_are_relative_to_the_mean():
    ratings = fit(meetings("a", "b", wins=60, losses=40))
    assert ratings.anchor is None
    assert ratings["a"].rating == pytest.approx(-ratings["b"].rating)
    between = ratings.difference("a", "b")
    assert ratings["a"].high - ratings["a"].low == pytest.approx((between.high - between.low) / 2)


def test_games_of_a_player_against_itself_say_nothing_of_its_rating():
    games = meetings("a", "random", wins=60, losses=40)
    alone = [game(("a", "a"), WIN)] * 50 + [game(("a", "a"), LOSS)] * 50
    ratings, before = fit(games + alone), fit(games)
    assert ratings.difference("a", "random") == pytest.approx(before.difference("a", "random"))
    assert ratings.payoff.games.tolist() == [[0, 100], [100, 0]]
    (row,) = fit(alone).rows()
    assert math.isnan(row.pop("score"))
    assert row == {"name": "a", "rating": 0, "low": 0, "high": 0, "games": 0, "group": 0}


@pytest.mark.parametrize("games", [20, 100])
def test_a_player_that_won_every_game_has_a_lower_limit_near_the_exact_one(games):
    a = fit(meetings("a", "random", wins=games))["a"]
    exact = 0.025 ** (1 / games)  # Clopper and Pearson's limit of the share of wins
    limit = 400 * math.log10(exact / (1 - exact))
    assert limit - 50 < a.low < limit
    assert limit + 500 < a.rating < a.high < 2500  # how far is the prior's to say
    assert a.high - a.rating > a.rating - a.low


def test_players_that_no_games_connect_are_not_compared(tmp_path):
    games = meetings("a", "random", wins=60, losses=40) + meetings("c", "b", wins=60, losses=40)
    games += meetings("c", "d", wins=60, losses=40)
    ratings = fit(games)
    assert ratings.groups == (("a", "random"), ("c", "b", "d"))
    assert [player.group for player in ratings.players] == [0, 0, 1, 1, 1]
    assert sum(player.rating for player in ratings.players[2:]) == pytest.approx(0, abs=1e-6)
    assert ratings["a"].rating == pytest.approx(fit(games[:100])["a"].rating)
    assert all(map(math.isnan, ratings.difference("a", "b")))
    assert math.isnan(ratings.expected("random", "d"))


def test_json_has_null_for_what_was_not_played():
    games = meetings("a", "random", wins=60, losses=40) + meetings("b", "random", wins=2)
    text = json.dumps(fit(games).to_json(), allow_nan=False)
    values = json.loads(text)
    assert values["anchor"] == "random"
    assert values["payoff"]["players"] == [player["name"] for player in values["players"]]
    index = {name: i for i, name in enumerate(values["payoff"]["players"])}
    assert values["payoff"]["score"][index["a"]][index["random"]] == 0.6
    assert values["payoff"]["score"][index["a"]][index["b"]] is None


def test_a_tie_of_many_sides_gives_each_the_same():
    names = [f"player_{i}" for i in range(9)]
    games = [game(names[i:] + names[:i], [1] * 9) for i in range(9)]
    ratings = fit(games)
    assert max(abs(player.rating) for player in ratings.players) < 1e-6
    # One that beats all others is above them, and they are equal among themselves.
    games = [game(names[i:] + names[:i], [1 + (j != -i % 9) for j in range(9)]) for i in range(9)]
    best, *others = fit(games).players
    assert best.name == "player_0"
    assert best.low > others[0].high
    assert max(player.rating for player in others) - min(p.rating for p in others) < 1e-6


@pytest.mark.parametrize(
    ("games", "message"),
    [
        ([], "There are no games"),
        ([game("a", [1])], "Every game has one side"),
        ([game("ab", [1, 2, 3])], "A game of a, b has 2 players and 3 ranks"),
    ],
)
def test_games_that_cannot_be_rated_are_refused(games, message):
    with pytest.raises(ArgumentError, match=message):
        fit(games)


def test_games_of_several_tasks_are_refused():
    chess = game("ab", TIE)
    go = dataclasses.replace(chess, task="go")
    with pytest.raises(ArgumentError, match="of 2 tasks: a_game, go"):
        fit([chess, go])


def test_unknown_players_are_refused_with_the_nearest_name():
    games = meetings("first", "second", wins=2)
    with pytest.raises(UnknownNameError, match="anchor 'frist' is in no game"):
        fit(games, anchor="frist")
    with pytest.raises(UnknownNameError, match="no player 'third'"):
        fit(games).expected("first", "third")
