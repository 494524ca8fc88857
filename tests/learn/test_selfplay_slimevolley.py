"""Slime Volleyball from its preset, against its author's player; `-k selfplay` has it, too.

It is trained in the game against that player, without self-play, and scored in that of two players.
The run prints its CPU seconds and its score; `pytest -rP` shows them. LEARN_SEEDS=1,2,3 tries more
seeds than the first.
"""

import io
import os
import time

import pytest
from rich.console import Console

from pufferlib.matches import play
from pufferlib.runs import Run

pytest.importorskip("slimevolleygym")
pytestmark = [pytest.mark.learn, pytest.mark.slow, pytest.mark.timeout(7200)]


@pytest.mark.parametrize("seed", os.environ.get("LEARN_SEEDS", "1").split(","))
def test_the_authors_player_is_beaten_over_games_on_both_sides(seed, tmp_path):
    # A random player loses by 4.9 points, and never wins.
    start, folder = time.process_time(), tmp_path / "run"
    run = Run.configure("SlimeVolley-v0", {"train.seed": seed, "run": folder})
    run.train(Console(file=io.StringIO()))
    print(f"seed {seed}: {time.process_time() - start:.0f} CPU seconds")
    games = play([str(folder), "baseline"], games=100, env="SlimeVolleyTwoPlayer-v0")
    points = [game.returns[1 - game.players.index("baseline")] for game in games]
    won, lost = sum(each > 0 for each in points), sum(each < 0 for each in points)
    print(f"{sum(points) / len(points):.2f} points a game, {won} won, {lost} lost of {len(points)}")
    assert sum(points) / len(points) > 0.1
    assert won > lost
