"""The parts of the wall time add up."""

import pytest

from pufferlib.ppo.profile import Profile


def test_shares_add_up_to_the_whole():
    profile = Profile()
    for name in ("environment", "train", "environment"):
        with profile.part(name):
            sum(range(20_000))
    shares = profile.shares()
    assert set(shares) == {"environment", "train", "other"}
    assert sum(shares.values()) == pytest.approx(1)
    assert min(shares.values()) > 0
