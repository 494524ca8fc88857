"""Self-play from presets, measured against players that do not learn.

Each run prints its score and CPU seconds; `pytest -rP` shows them. LEARN_SEEDS=1,2,3 tries more
seeds than the first.
"""

import io
import os
import time

import pytest
from rich.console import Console

from pufferlib.matches import play
from pufferlib.matches.exploitability import AVERAGE, nash_conv
from pufferlib.runs import Run

pytestmark = [pytest.mark.learn, pytest.mark.slow, pytest.mark.timeout(3600)]

SEEDS = os.environ.get("LEARN_SEEDS", "1").split(",")


@pytest.fixture(params=SEEDS)
def trained(request, tmp_path):
    """Return a function that trains a task and returns the folder of the run."""

    def train(task):
        start, folder = time.process_time(), tmp_path / "run"
        run = Run.configure(task, {"train.seed": request.param, "run": folder})
        run.train(Console(file=io.StringIO()))
        print(f"{task}, seed {request.param}: {time.process_time() - start:.0f} CPU seconds")
        return folder

    return train


def outcomes(player, other, games, is_greedy=False):
    """Return how many games the first player has won, tied and lost, half of them in each seat."""
    played = play([str(player), other], games=games, is_greedy=is_greedy)
    seats = [game.players.index(other) for game in played]
    assert seats.count(0) == seats.count(1) == games / 2
    margins = [g.ranks[seat] - g.ranks[1 - seat] for g, seat in zip(played, seats, strict=True)]
    found = [sum(m > 0 for m in margins), margins.count(0), sum(m < 0 for m in margins)]
    print(f"against {other}: {found[0]} won, {found[1]} tied, {found[2]} lost")
    return found


def nash_conv_of_late_average(run):
    """Return the NashConv of the average of the later half of the snapshots in a pool."""
    pool = sorted((run / "pool").glob("*.pt"), key=lambda path: int(path.stem.partition("@")[2]))
    found = nash_conv([str(path) for path in pool[len(pool) // 2 :]])[AVERAGE]
    print(f"NashConv {found:.4f}")
    return found


def test_no_game_of_tic_tac_toe_is_lost_against_perfect_play(trained):
    # A random player loses 79% of the games as the first player, and 97% as the second.
    won, tied, lost = outcomes(trained("open_spiel/tic_tac_toe"), "perfect", 1000, is_greedy=True)
    assert (won + tied, lost) == (1000, 0)


def test_the_average_policy_of_kuhn_poker_is_near_the_equilibrium(trained):
    # Uniformly random play has 0.92. The preset has 0.068, 0.038 and 0.033 with seeds 1, 2 and 3;
    # most other settings in docs/learning.md have 0.10 to 0.38, and single snapshots 0.10 to 0.40
    # after a third of the steps.
    assert nash_conv_of_late_average(trained("open_spiel/kuhn_poker")) < 0.09


def test_the_average_policy_of_leduc_poker_is_far_below_random_play(trained):
    # Uniformly random play has a NashConv of 4.75, the preset 0.88, 0.83, 0.82 with seeds 1, 2, 3;
    # with a bonus of 0.05 it was 1.92.
    assert nash_conv_of_late_average(trained("open_spiel/leduc_poker")) < 1.0
