"""Whether a worker is replaced, how that is reported, and which seed the new one gets."""

import logging

import numpy as np
import pytest

from pufferlib.exceptions import ArgumentError, WorkerError
from pufferlib.vector.restart import RestartRule, check_replacement


def error(text="Worker 3 was lost.\nMore lines."):
    return WorkerError(text, worker=3)


def test_by_default_a_failure_is_raised_as_it_is():
    rule, failure = RestartRule(), error()
    assert not rule.restarts
    with pytest.raises(WorkerError) as raised:
        rule.record(failure)
    assert raised.value is failure
    assert not hasattr(failure, "__notes__")
    assert rule.num_restarts == 0


def test_a_restart_is_counted_and_logged_and_its_info_is_one_line(caplog):
    rule = RestartRule("restart", max_restarts=5)
    assert rule.restarts
    with caplog.at_level(logging.WARNING):
        assert rule.record(error()) == {"restarted": "Worker 3 was lost.", "worker": 3}
        rule.record(error())
    assert rule.num_restarts == 2
    assert [record.getMessage() for record in caplog.records] == [
        "Restart 1 of at most 5: Worker 3 was lost.\nMore lines.",
        "Restart 2 of at most 5: Worker 3 was lost.\nMore lines.",
    ]


def test_the_failure_after_the_last_restart_is_raised():
    rule = RestartRule("restart", max_restarts=2)
    rule.record(error())
    rule.record(error())
    with pytest.raises(WorkerError) as raised:
        rule.record(error())
    assert raised.value.__notes__ == ["The worker was not replaced: max_restarts=2 is used up."]
    assert rule.num_restarts == 2


def test_without_a_limit_restarts_continue():
    rule = RestartRule("restart", max_restarts=None)
    for _ in range(50):
        rule.record(error())
    assert rule.num_restarts == 50


def test_while_it_is_suspended_a_failure_is_raised_and_afterwards_it_is_not():
    rule = RestartRule("restart")
    with pytest.raises(WorkerError) as raised, rule.suspended():
        rule.record(error())
    assert raised.value.__notes__ == [
        "The worker was not replaced: a new one could not answer this call."
    ]
    assert rule.num_restarts == 0
    rule.record(error())
    assert rule.num_restarts == 1


@pytest.mark.parametrize("on_failure", ["ignore", None, True])
def test_another_word_is_refused(on_failure):
    with pytest.raises(ArgumentError, match=f"must be 'raise' or 'restart'; got {on_failure!r}"):
        RestartRule(on_failure)


@pytest.mark.parametrize("most", [0, -1, 2.5, "3", True])
def test_a_limit_is_a_whole_number_from_one(most):
    with pytest.raises(ArgumentError, match="max_restarts must be a whole number of at least 1"):
        RestartRule("restart", most)
    assert RestartRule("restart", np.int64(3)).max_restarts == 3


def test_new_seeds_differ_by_seed_worker_and_restart_and_are_the_same_again():
    rule, twin = RestartRule("restart", None), RestartRule("restart", None)
    seen = set()
    for _ in range(3):
        for seed in (0, 1, 2**64 - 1):
            for worker in (0, 1):
                first, second = new = rule.new_seeds([seed, 5], worker)
                assert 0 <= first < second == first + 1
                assert new == twin.new_seeds([seed, 5], worker)
                seen.add(first)
        rule.record(error())
        twin.record(error())
    assert len(seen) == 3 * 3 * 2
    # NumPy promises that a SeedSequence always gives the same numbers.
    first = int(np.random.SeedSequence([7, 8, 1, 0]).generate_state(1)[0]) % 2**30
    assert RestartRule("restart").new_seeds([7, None, 8], 1) == [first, None, first + 2]
    assert RestartRule("restart").new_seeds([7, None, 8], 1, 5) == [first, None, first + 10]


def test_without_seeds_the_new_ones_are_none_too():
    assert RestartRule("restart").new_seeds([None, None], 1) == [None, None]


def test_a_replacement_must_have_the_same_agents():
    check_replacement(1, [3, 4], (3, 4))
    with pytest.raises(ArgumentError, match=r"Worker 1 .* have \[4, 3\] .* \[3, 4\]"):
        check_replacement(1, [3, 4], [4, 3])
