"""The 95% intervals hold the true ratings in 95% of simulated tournaments."""

import numpy as np
import pytest
from rating_games import free_for_all, round_robin

from pufferlib.rating import fit

TOURNAMENTS = 100
STRENGTHS = {"random": 0.0} | {f"player_{i}": 120.0 * i for i in range(1, 6)}
SIMULATED = {
    "seats": lambda rng: round_robin(rng, STRENGTHS, 10, seat=80),
    "ties": lambda rng: round_robin(rng, STRENGTHS, 10, seat=80, ties=0.7),
    "few games": lambda rng: round_robin(rng, STRENGTHS, 3),
    "four sides": lambda rng: free_for_all(rng, STRENGTHS, 80, 4),
}


@pytest.mark.parametrize("name", SIMULATED)
def test_intervals_hold_the_true_ratings(name):
    rng = np.random.default_rng(0)
    inside, seats, misfits = [], [], 0
    for _ in range(TOURNAMENTS):
        ratings = fit(SIMULATED[name](rng))
        for player in ratings.players:
            if player.name != "random":
                inside.append(player.low <= STRENGTHS[player.name] <= player.high)
        first = ratings.seat_advantage[0]
        seats.append(first.low <= (80 if name in ("seats", "ties") else 0) <= first.high)
        misfits += ratings.misfit.poor
    assert 0.92 <= np.mean(inside) <= 0.98
    assert 0.91 <= np.mean(seats) <= 0.99
    assert misfits / TOURNAMENTS <= 0.02  # ratings do describe these games
