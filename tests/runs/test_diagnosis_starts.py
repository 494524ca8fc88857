"""Environments with independent starts are not said to share a seed, and those that do are."""

import functools
from contextlib import closing

import numpy as np
import pytest
from faults import SeededSpaces, emulated

from pufferlib import vector
from pufferlib.runs.diagnosis import diagnose
from pufferlib.training.episodes import EpisodeCounts


def accused(draws):
    """Return how many of the runs (R, environments, episodes) of these starts are accused."""
    creator = functools.partial(emulated, SeededSpaces, False)
    with closing(vector.make(creator, backend="Serial", num_envs=draws.shape[1])) as vecenv:
        counts = EpisodeCounts(vecenv)
    count = 0
    for starts in draws:
        counts.load_state_dict({**counts.state_dict(), "starts": starts.tolist()})
        findings = diagnose([{"updates": 1, **counts.metrics()}] * 10, {}).findings
        count += "Environments share a seed" in [finding.name for finding in findings]
    return count


SIZES = [(4, 2, 10), (8, 2, 20), (8, 8, 20), (2, 8, 10)]


@pytest.mark.parametrize(("environments", "episodes", "choices"), SIZES)
def test_independent_starts_are_never_accused(environments, episodes, choices):
    rng = np.random.default_rng(0)
    draws = rng.integers(0, choices, (200, environments, episodes))
    assert accused(draws) == 0


@pytest.mark.parametrize(
    ("environments", "episodes", "choices"),
    [(2, 8, 1_000), (4, 8, 10), (8, 2, 1_000), (8, 8, 20), (64, 3, 1_000)],
)
def test_environments_that_draw_the_same_starts_are_accused(environments, episodes, choices):
    draws = np.random.default_rng(0).integers(0, choices, (20, 1, episodes))
    assert accused(draws.repeat(environments, 1)) == 20


@pytest.mark.parametrize("starts", [np.ones((8, 8), int), np.arange(64).reshape(8, 8)])
def test_starts_that_are_all_equal_or_all_different_prove_nothing(starts):
    assert accused(starts[None]) == 0
