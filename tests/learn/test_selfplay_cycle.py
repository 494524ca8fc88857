"""In a cyclic game a policy that meets only its latest self cycles; one that meets its past stays.

The game and the training are those of the picture in docs/selfplay.md.
"""

from pathlib import Path

import pytest

from pufferlib.references import load_file

pytestmark = pytest.mark.long

cycle = load_file(Path(__file__).parents[2] / "benchmarks" / "selfplay_cycle.py")


@pytest.mark.parametrize("opponents", ["uniform", "PFSP (hard) and uniform"])
def test_playing_the_past_does_not_cycle(opponents):
    late = cycle.trained(cycle.OPPONENTS[opponents], seed=1)[cycle.UPDATES // 2 :]
    # The policy that the entropy bonus allows has 0.07, uniformly random play 0.17.
    assert cycle.exploitability(late).mean() < 0.25
    assert late.max() < 0.9


def test_playing_the_latest_alone_cycles():
    late = cycle.trained(cycle.OPPONENTS["latest"], seed=1)[cycle.UPDATES // 2 :]
    assert cycle.exploitability(late).mean() > 0.35
    assert late.max(0).tolist() > [0.8] * 3  # it comes near each corner in turn
    assert late.min(0).max() < 0.1
