"""The payoff matrix, and whether ratings can describe it."""

import numpy as np
import pytest
import torch
from rating_games import game, meetings, round_robin

from pufferlib.rating import fit
from pufferlib.rating.pairs import chi_square_tail, wilson


def rock_paper_scissors(wins, losses):
    games = []
    for one, two in (("rock", "scissors"), ("scissors", "paper"), ("paper", "rock")):
        games += meetings(one, two, wins=wins, losses=losses)
    return games


def test_ratings_cannot_describe_rock_paper_scissors():
    ratings = fit(rock_paper_scissors(150, 50))
    assert [player.rating for player in ratings.players] == pytest.approx([0, 0, 0], abs=1e-6)
    misfit = ratings.misfit
    # Each pair: 150 of 200 where 100 are expected, with variance 50 and a quarter for chance.
    assert misfit.degrees == 1
    assert misfit.chi_square == pytest.approx(3 * 50**2 / 50.25)
    assert misfit.deviation == pytest.approx(0.25, abs=0.01)
    assert misfit.p_value < 1e-9
    assert misfit.poor
    assert len(misfit.residuals) == 3
    worst = misfit.residuals[0]
    assert (worst.games, worst.score) == (200, 0.75)
    assert worst.expected == pytest.approx(0.5)
    assert (worst.first, worst.second) in {
        *(("rock", "scissors"), ("scissors", "paper"), ("paper", "rock"))
    }
    assert "Ratings cannot describe these games: " in str(misfit)
    assert "scored 0.75 in 200 games" in str(misfit)


def test_a_cycle_too_weak_to_matter_is_no_misfit():
    misfit = fit(rock_paper_scissors(10_200, 9_800)).misfit
    assert misfit.p_value < 0.01  # it is there, but 51 of 100
    assert not misfit.poor
    assert str(misfit) == "Ratings describe these games."


def test_games_by_strength_are_no_misfit():
    strengths = {"a": 0.0, "b": 300.0, "c": 600.0, "d": 1500.0}
    misfit = fit(round_robin(np.random.default_rng(0), strengths, 100)).misfit
    assert not misfit.poor
    assert misfit.p_value > 0.01
    assert misfit.degrees == 3  # six pairs, three differences


def test_the_payoff_matrix_has_the_score_of_the_row():
    games = meetings("a", "random", wins=60, ties=20, losses=20)
    games += meetings("b", "random", wins=30, losses=10)
    payoff = fit(games).payoff
    index = {name: i for i, name in enumerate(payoff.players)}
    a, b, random = index["a"], index["b"], index["random"]
    assert payoff.score[a, random] == 0.7  # a tie is half a win
    assert payoff.score[random, a] == pytest.approx(0.3)
    assert payoff.score[b, random] == 0.75
    assert np.isnan(payoff.score[a, b])
    assert np.isnan(payoff.score.diagonal()).all()
    assert payoff.games[a, random] == payoff.games[random, a] == 100
    assert payoff.games[a, b] == payoff.games[a, a] == 0
    assert payoff.low[a, random] == pytest.approx(1 - payoff.high[random, a])


def test_a_game_of_several_sides_counts_for_each_pair():
    payoff = fit([game("abca", [1, 2, 3, 4])] * 5).payoff
    index = {name: i for i, name in enumerate(payoff.players)}
    a, b, c = index["a"], index["b"], index["c"]
    assert payoff.games[a, b] == 10
    assert payoff.score[a, b] == 0.5  # one side of a is better, the other is not
    assert payoff.games[b, c] == 5
    assert payoff.score[b, c] == 1


def test_wilson_intervals_have_the_published_values():
    # Newcombe 1998, doi:10.1002/(SICI)1097-0258(19980430)17:8<857::AID-SIM777>3.0.CO;2-E, table I.
    wins, games = np.array([81.0, 15, 0, 1]), np.array([263.0, 148, 20, 29])
    low, high = wilson(wins / games, games)
    assert low.round(4).tolist() == [0.2553, 0.0624, 0.0, 0.0061]
    assert high.round(4).tolist() == [0.3662, 0.1605, 0.1611, 0.1718]


@pytest.mark.parametrize("degrees", [1, 2, 3, 10, 45, 4851])
@pytest.mark.parametrize("ratio", [0.1, 0.9, 1.0, 1.1, 3.0])
def test_the_chi_square_tail_is_the_incomplete_gamma_function(degrees, ratio):
    value = torch.tensor(ratio * degrees / 2, dtype=torch.float64)
    expected = torch.special.gammaincc(torch.tensor(degrees / 2, dtype=torch.float64), value)
    assert chi_square_tail(ratio * degrees, degrees) == pytest.approx(
        float(expected), rel=1e-6, abs=1e-12
    )
