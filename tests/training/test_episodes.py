"""Episodes are counted by row, and environments that begin alike are found."""

import functools
import itertools
import statistics
from contextlib import closing

import pytest
import torch
from faults import SeededSpaces, emulated
from training_environments import Constant, OneValue, Roster, collector_of

from pufferlib import vector
from pufferlib.training.episodes import EpisodeCounts

CPU = torch.device("cpu")


class ThreeLogits(OneValue):
    """A policy for Spaces: three actions of two, two and three choices."""

    def forward(self, observations):
        rows = len(observations)
        return [torch.zeros(rows, n) for n in (2, 2, 3)], self.value.expand(rows, 1)


def counted(creator, steps, num_envs=2, policy=OneValue, resumed=None):
    """Collect; return the metrics, and the state."""
    with closing(vector.make(creator, backend="Serial", num_envs=num_envs)) as vecenv:
        collector = collector_of(vecenv, policy(), steps)
        if resumed is not None:
            collector.counts.load_state_dict(resumed)
        collector.begin(1)
        if steps:
            collector.collect()
        return collector.counts.metrics(), collector.counts.state_dict()


def test_every_row_counts_its_own_episodes():
    # Of each environment, the first agent ends by termination at step 5 and by truncation at 10,
    # the second by termination at 2, 7 and 12, and the third never acts.
    metrics, _ = counted(Roster, steps=14)
    assert metrics["rollout/terminated"] == 2 * (1 + 3)
    assert metrics["rollout/truncated"] == 2
    assert metrics["rollout/episode_length"] == pytest.approx((5 + 5 + 2 + 2 + 2) / 5)
    assert metrics["rollout/longest_episodes"] == pytest.approx(2 / 5)
    assert metrics["rollout/idle_rows"] == pytest.approx(1 / 3)


def test_no_ended_episode_has_a_length():
    metrics, _ = counted(Roster, steps=1)
    assert metrics["rollout/terminated"] == metrics["rollout/truncated"] == 0
    assert "rollout/episode_length" not in metrics


@pytest.mark.parametrize(
    ("env", "policy", "across", "within"),
    [
        (lambda: SeededSpaces(ignores_seed=False), ThreeLogits, 0, 0),
        (lambda: SeededSpaces(ignores_seed=True), ThreeLogits, 1, 0),
        (lambda: Constant(is_truncated=False), OneValue, 1, 1),
    ],
    ids=["own seeds", "one seed", "one start"],
)
def test_starts_are_compared_between_environments_and_within_them(env, policy, across, within):
    metrics, _ = counted(functools.partial(emulated, env), 12, num_envs=3, policy=policy)
    assert metrics["rollout/equal_starts"] == across
    assert metrics["rollout/repeated_starts"] == within


def test_shares_of_equal_starts_are_those_of_pairs():
    with closing(vector.make(Roster, backend="Serial", num_envs=3)) as vecenv:
        counts = EpisodeCounts(vecenv)
    state = counts.state_dict()
    counts.load_state_dict({**state, "starts": [[1, 1, 2], [1, 2], [3, 2]]})
    metrics = counts.metrics()
    # First episodes 1, 1, 3: one pair of three; second 1, 2, 2: one of three; third: no pair.
    assert metrics["rollout/equal_starts"] == pytest.approx(2 / 6)
    # 1, 1, 2: one pair of three; the other environments: none of two.
    assert metrics["rollout/repeated_starts"] == pytest.approx(1 / 5)


@pytest.mark.parametrize("starts", [[[1, 1, 2], [1, 2], [3, 2]], [[1, 2], [1, 2], [1], [3]]])
def test_the_z_of_equal_starts_is_that_among_all_permutations(starts):
    with closing(vector.make(Roster, backend="Serial", num_envs=len(starts))) as vecenv:
        counts = EpisodeCounts(vecenv)
    counts.load_state_dict({**counts.state_dict(), "starts": starts})
    places = [(env, k) for env, own in enumerate(starts) for k in range(len(own))]
    pairs = [
        (i, j)
        for i, (_, first) in enumerate(places)
        for j, (_, second) in enumerate(places)
        if i < j and first == second
    ]
    dealt = [
        sum(deal[i] == deal[j] for i, j in pairs)
        for deal in itertools.permutations(start for own in starts for start in own)
    ]
    z = (dealt[0] - statistics.fmean(dealt)) / statistics.pstdev(dealt)
    assert counts.metrics()["rollout/equal_starts_z"] == pytest.approx(z)


def test_a_resumed_run_counts_on():
    _, state = counted(Roster, steps=14)
    metrics, _ = counted(Roster, steps=5, resumed=state)
    assert metrics["rollout/terminated"] == 8 + 2 * (1 + 1)
    assert metrics["rollout/truncated"] == 2


def test_a_run_resumed_with_other_environments_keeps_its_counts_of_episodes():
    _, state = counted(Roster, steps=14)
    metrics, _ = counted(Roster, steps=5, num_envs=1, resumed=state)
    assert metrics["rollout/terminated"] == 8 + 2
    assert metrics["rollout/idle_rows"] == pytest.approx(1 / 3)


def test_one_environment_has_none_to_compare_with():
    assert "rollout/equal_starts" not in counted(Roster, 14, num_envs=1)[0]
