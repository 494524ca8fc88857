"""Which workers are ready, which are late, and the steps of a replacement."""

from types import SimpleNamespace

import pytest

from pufferlib.vector import worker_tracker
from pufferlib.vector.worker_tracker import (
    REPLACEMENT_TRANSITIONS,
    Lost,
    ReplacementEvent,
    ReplacementState,
    WorkerTracker,
)

WHY = {"restarted": "Worker 1 was lost.", "worker": 1}


@pytest.fixture
def clock(monkeypatch):
    """Return a clock that goes when a test says so."""
    clock = SimpleNamespace(now_s=100.0)
    clock.monotonic = lambda: clock.now_s
    monkeypatch.setattr(worker_tracker, "time", clock)
    return clock


def tracker_of(num_workers, *finished):
    """Return a tracker in which these workers have finished, in this order."""
    tracker = WorkerTracker(num_workers, None)
    for worker in finished:
        tracker.began(worker, "step")
        tracker.finished(worker, f"infos of {worker}")
    return tracker


def test_a_worker_is_busy_from_its_command_to_its_answer():
    tracker = WorkerTracker(2, None)
    assert tracker.doing == [None, None]
    tracker.began(1, "reset")
    assert tracker.doing == [None, "reset"]
    assert tracker.ready == []
    tracker.finished(1, "infos")
    assert tracker.doing == [None, None]
    assert tracker.ready == [1]
    assert tracker.take_answer(1) == "infos"
    assert tracker.take_answer(1) is None  # an answer is given once


def test_the_workers_waiting_longest_are_taken_in_row_order():
    tracker = tracker_of(5, 4, 1, 3, 0)
    assert tracker.take(5, None) is None
    assert tracker.take(2, None) == [1, 4]
    assert tracker.ready == [3, 0]
    assert tracker.take(2, None) == [0, 3]
    assert tracker.ready == []


def test_only_whole_groups_of_neighbors_are_taken_the_longest_waiting_first():
    tracker = tracker_of(6, 5, 0, 3, 2)
    assert tracker.take(2, 2) == [2, 3]  # 5 and 0 wait for 4 and 1
    assert tracker.take(2, 2) is None
    tracker.finished(1, None)
    tracker.finished(4, None)
    assert tracker.ready == [5, 0, 1, 4]
    assert tracker.take(2, 2) == [4, 5]  # 5 was first
    assert tracker.take(2, 2) == [0, 1]


@pytest.mark.parametrize(
    ("count", "group_size", "wanted"),
    [(4, None, 2), (3, None, 1), (1, None, 1), (4, 4, 2), (2, 2, 1)],
)
def test_how_many_more_must_finish_before_a_batch(count, group_size, wanted):
    assert tracker_of(4, 0, 2).wanted(count, group_size) == wanted


def test_forgetting_leaves_no_answer_and_no_replacement():
    tracker = tracker_of(3, 0, 2)
    tracker.failed(1, WHY)
    tracker.forget()
    assert tracker.ready == []
    assert tracker.replacements == {}
    assert [tracker.take_answer(worker) for worker in range(3)] == [None] * 3


def test_a_worker_that_exceeds_the_timeout_is_late(clock):
    tracker = WorkerTracker(3, 10.0)
    tracker.began(0, "step")
    for _ in range(6):
        clock.now_s += 1.0
        assert tracker.late() == []
    tracker.began(1, "step")
    assert tracker.left_s(None) == pytest.approx(4.0, abs=0.01)
    assert tracker.left_s(0.5) == 0.5
    for _ in range(4):
        clock.now_s += 1.0
        assert tracker.late() == []
    clock.now_s += 0.5
    assert tracker.late() == [0]
    assert tracker.left_s(None) == pytest.approx(0.0, abs=0.01)
    tracker.finished(0, None)
    assert tracker.late() == []
    assert tracker.left_s(None) == pytest.approx(5.5, abs=0.01)  # of worker 1


def test_time_in_which_the_caller_did_not_look_does_not_count(clock):
    tracker = WorkerTracker(1, 10.0)
    tracker.began(0, "step")
    clock.now_s += 0.9
    assert tracker.late() == []
    clock.now_s += 3600  # Ctrl+Z
    assert tracker.late() == []
    for _ in range(9):
        clock.now_s += 1.0
        assert tracker.late() == []
    clock.now_s += 1.0
    assert tracker.late() == [0]


def test_without_a_timeout_no_worker_is_late(clock):
    tracker = WorkerTracker(1, None)
    tracker.began(0, "step")
    clock.now_s += 1e9
    assert tracker.late() == []
    assert (tracker.left_s(None), tracker.left_s(2.0)) == (None, 2.0)


def test_an_idle_worker_is_never_late(clock):
    tracker = WorkerTracker(2, 10.0)
    clock.now_s += 0.5
    assert tracker.late() == []
    assert tracker.left_s(None) == pytest.approx(10.0, abs=0.01)


# The life of a replacement.


def failed_tracker():
    """Return a tracker of two workers of which worker 1 failed in a step, and is being replaced."""
    tracker = WorkerTracker(2, None)
    tracker.began(1, "step")
    tracker.failed(1, WHY)
    tracker.began(1, "__init__")
    return tracker


def test_a_failure_is_an_answer_at_once():
    tracker = failed_tracker()
    assert tracker.ready == [1]
    assert tracker.take(1, None) == [1]
    assert tracker.take_answer(1) == Lost(WHY)


@pytest.mark.parametrize("is_made_first", [True, False])
def test_a_replacement_resets_once_it_is_made_and_its_batch_is_requested(is_made_first):
    tracker = failed_tracker()
    tracker.take(1, None)
    if is_made_first:
        tracker.made_replacement(1)
        assert not tracker.is_due_to_reset(1)  # its rows report the loss
        assert tracker.request_batch(1)
    else:
        assert tracker.request_batch(1)
        assert not tracker.is_due_to_reset(1)  # it has no environments
        tracker.made_replacement(1)
    assert tracker.is_due_to_reset(1)
    tracker.began(1, "reset")
    assert not tracker.is_due_to_reset(1)
    assert tracker.ready == []
    tracker.finished(1, "infos of the reset")
    assert tracker.ready == [1]
    assert tracker.take_answer(1) == "infos of the reset"
    assert tracker.replacements == {}
    assert not tracker.request_batch(1)  # a worker like any other


def test_a_worker_that_did_not_fail_is_not_a_replacement():
    tracker = failed_tracker()
    assert not tracker.request_batch(0)
    assert not tracker.is_due_to_reset(0)


def test_a_replacement_that_fails_in_turn_loses_no_second_batch():
    tracker = failed_tracker()
    tracker.take(1, None)
    tracker.take_answer(1)
    tracker.failed(1, WHY)  # in __init__
    assert tracker.ready == []
    tracker.request_batch(1)
    tracker.made_replacement(1)
    tracker.began(1, "reset")
    tracker.failed(1, WHY)  # in reset
    assert tracker.ready == []
    tracker.began(1, "__init__")
    tracker.made_replacement(1)
    assert tracker.is_due_to_reset(1)
    tracker.began(1, "reset")
    tracker.finished(1, None)
    assert tracker.ready == [1]


def test_for_a_call_a_replacement_resets_early_and_for_its_batch_again():
    tracker = failed_tracker()
    tracker.take(1, None)
    tracker.take_answer(1)
    assert tracker.begin_call() == [1]
    tracker.made_replacement(1)
    assert tracker.is_due_to_reset(1)
    tracker.began(1, "reset")
    tracker.finished(1, "infos that no batch shows")
    assert tracker.ready == []
    assert tracker.take_answer(1) is None
    tracker.began(1, "greet")
    tracker.finished(1, ["hello"])  # the call itself is answered like any other
    assert tracker.take(1, None) == [1]
    assert tracker.take_answer(1) == ["hello"]
    tracker.end_call()
    assert not tracker.is_due_to_reset(1)
    assert tracker.request_batch(1)
    assert tracker.is_due_to_reset(1)
    tracker.began(1, "reset")
    tracker.finished(1, "infos of the reset")
    assert tracker.ready == [1]
    assert tracker.take_answer(1) == "infos of the reset"


S, E = ReplacementState, ReplacementEvent
MADE, CALL, ENDED, BATCH, RESET, FAILED = (
    *(E.MADE, E.CALL_BEGAN, E.CALL_ENDED),
    *(E.BATCH_REQUESTED, E.RESET, E.FAILED),
)


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ([], S.STARTING),
        ([FAILED], S.STARTING),
        ([MADE], S.MADE),
        ([MADE, FAILED], S.STARTING),
        ([MADE, BATCH], S.RESETTING_FOR_BATCH),
        ([BATCH, MADE], S.RESETTING_FOR_BATCH),
        ([BATCH, FAILED, MADE], S.RESETTING_FOR_BATCH),
        ([BATCH, MADE, FAILED], S.STARTING_FOR_BATCH),
        ([MADE, BATCH, RESET], S.DONE),
        ([CALL], S.STARTING_FOR_CALL),
        ([CALL, FAILED], S.STARTING_FOR_CALL),
        ([CALL, MADE], S.RESETTING_FOR_CALL),
        ([MADE, CALL], S.RESETTING_FOR_CALL),
        ([MADE, CALL, FAILED], S.STARTING_FOR_CALL),
        ([MADE, CALL, RESET], S.READY_FOR_CALL),
        ([MADE, CALL, RESET, FAILED], S.STARTING_FOR_CALL),
        ([MADE, CALL, RESET, ENDED], S.MADE),
        ([MADE, CALL, ENDED], S.MADE),  # the call failed
        ([CALL, ENDED], S.STARTING),  # likewise
        ([MADE, CALL, RESET, ENDED, CALL, RESET, ENDED, BATCH, RESET], S.DONE),
    ],
)
def test_a_sequence_of_events_leads_to_the_expected_state(events, state):
    now = S.STARTING
    for event in events:
        now = REPLACEMENT_TRANSITIONS[now][event]
    assert now is state


def test_every_state_can_be_left_and_leads_to_the_end():
    assert set(REPLACEMENT_TRANSITIONS) == set(S) - {S.DONE}
    ends = {S.DONE}
    for _ in S:  # as many steps as the longest way can have
        ends |= {
            state for state, after in REPLACEMENT_TRANSITIONS.items() if ends & set(after.values())
        }
    assert ends == set(S)


def test_a_failure_and_the_end_of_a_call_are_never_out_of_place():
    for state, after in REPLACEMENT_TRANSITIONS.items():
        assert E.FAILED in after
        is_for_batch = state in (S.STARTING_FOR_BATCH, S.RESETTING_FOR_BATCH)
        assert (E.CALL_ENDED in after) == (not is_for_batch)  # no call comes before that batch


def test_only_a_replacement_that_was_reported_to_reset_can_have_reset():
    resets = {state for state, after in REPLACEMENT_TRANSITIONS.items() if E.RESET in after}
    assert resets == {S.RESETTING_FOR_CALL, S.RESETTING_FOR_BATCH}
