"""Self-play from presets, measured against players that do not learn."""

import os

import pytest

from pufferlib.matches import play
from pufferlib.runs import Run

pytestmark = [pytest.mark.learn, pytest.mark.slow, pytest.mark.timeout(1800)]

SEEDS = os.environ.get("LEARN_SEEDS", "1").split(",")


@pytest.mark.parametrize("seed", SEEDS)
def test_no_game_of_tic_tac_toe_is_lost_against_perfect_play(seed, tmp_path, capsys):
    # A random player loses 79% of the games as the first player, and 97% as the second.
    folder = tmp_path / "ttt"
    Run.configure("open_spiel/tic_tac_toe", {"train.seed": seed, "run": folder}).train()
    capsys.readouterr()
    games = play([str(folder), "perfect"], games=1000, is_greedy=True)
    seats = [game.players.index("perfect") for game in games]
    assert seats.count(0) == seats.count(1) == 500
    lost = sum(
        game.ranks[seat] < game.ranks[1 - seat] for game, seat in zip(games, seats, strict=True)
    )
    print(f"seed {seed}: {lost} of 1,000 games lost")
    assert lost == 0
