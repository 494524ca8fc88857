"""Orders and answers between real processes, by the compiled gate and by the plain one."""

import contextlib
import mmap
import multiprocessing
import os
import random
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from vector_processes import wait_until_asleep

from pufferlib.vector.processes import _gate_plain

TWINS = {"plain": _gate_plain.Gate}
with contextlib.suppress(ModuleNotFoundError):  # no compiler built it
    from pufferlib.vector.processes import _gate

    TWINS["compiled"] = _gate.Gate
END = 999  # an order


@pytest.fixture(params=TWINS.values(), ids=TWINS)
def gate_class(request):
    return request.param


def shared_words(workers):
    """Return the words of a gate, in memory that forked processes share."""
    memory = mmap.mmap(-1, (workers + 1) * _gate_plain.LINE * 4)
    return np.frombuffer(memory, np.int32).reshape(workers + 1, _gate_plain.LINE)


def obey(gate, worker, pause=lambda: None):
    """Answer each order with itself and the worker, until the end."""
    while (order := gate.next_order(worker)) != END:
        pause()
        gate.answer(worker, 1000 * worker + order)


def pause_at_random():
    """Answer at once, while the caller still looks, or when it sleeps."""
    time.sleep(random.choice([0, 0, 0, 1e-5, 1e-4, 1e-3]))


@contextlib.contextmanager
def processes(target, *arguments):
    """Run `target` in a process for each of `arguments`; wait for them to end."""

    def run(*each):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(300)  # none outlives a test that was ended for hanging
        target(*each)

    context = multiprocessing.get_context("fork")
    started = [context.Process(target=run, args=each, daemon=True) for each in arguments]
    for process in started:
        process.start()
    try:
        yield [process.pid for process in started]
    except BaseException:
        for process in started:
            process.kill()
        raise
    finally:
        for process in started:
            process.join()
            process.close()


@pytest.mark.parametrize("spin_us", [0, 50])
@pytest.mark.parametrize("pause", [lambda: None, pause_at_random], ids=["at once", "pausing"])
def test_thousands_of_orders_are_each_answered_once(gate_class, spin_us, pause):
    words = shared_words(3)
    gate = gate_class(words, spin_us)
    workers = [(gate_class(words, spin_us), worker, pause) for worker in range(3)]
    with processes(obey, *workers):
        for number in range(3000):
            order = number % 900 + 1
            for worker in range(3):
                gate.order(worker, order)
            answers = gate.answers(3, timeout_s=20)
            assert answers == [(0, order), (1, 1000 + order), (2, 2000 + order)]
        for worker in range(3):
            gate.order(worker, END)


@pytest.mark.parametrize("wanted", [1, 2])
def test_answers_are_received_in_order_and_once_each(gate_class, wanted):
    words = shared_words(3)
    gate = gate_class(words)
    workers = [(gate_class(words), worker, pause_at_random) for worker in range(3)]
    last, rounds = [0, 0, 0], 0
    with processes(obey, *workers):
        for worker in range(3):
            gate.order(worker, 1)
        while rounds < 3000:
            answers = gate.answers(wanted, timeout_s=20)
            assert len(answers) >= wanted
            for worker, answer in answers:
                assert answer == 1000 * worker + last[worker] + 1
                last[worker] = (last[worker] + 1) % 900
                gate.order(worker, last[worker] + 1)
                rounds += 1
        while any(last):  # who has an order still answers it
            for worker, _ in gate.answers(1, timeout_s=20):
                last[worker] = 0
        for worker in range(3):
            gate.order(worker, END)


def test_waiting_ends_after_the_timeout_and_loses_nothing(gate_class):
    words = shared_words(2)
    gate, worker = gate_class(words), gate_class(words)
    gate.order(0, 7)
    gate.order(1, 8)
    assert gate.answers(2, timeout_s=0) == []
    assert gate.answers(2, timeout_s=0.05) == []
    assert worker.next_order(1) == 8
    worker.answer(1, 3)
    assert gate.answers(2, timeout_s=0.05) == [(1, 3)]
    assert worker.next_order(0) == 7
    worker.answer(0, 4)
    assert gate.answers(1, timeout_s=0) == [(0, 4)]
    assert gate.answers(1, timeout_s=0) == []


def test_a_worker_that_sleeps_is_woken_by_an_order(gate_class):
    words = shared_words(1)
    gate = gate_class(words)
    with processes(obey, (gate_class(words), 0)) as [pid]:
        for order in (1, 2, 3):
            wait_until_asleep([pid])
            gate.order(0, order)
            assert gate.answers(1, timeout_s=20) == [(0, order)]
        wait_until_asleep([pid])
        gate.order(0, END)


def test_a_caller_that_sleeps_is_woken_by_an_answer(gate_class):
    words = shared_words(1)
    gate = gate_class(words)
    with processes(obey, (gate_class(words), 0, lambda: time.sleep(0.2))):
        gate.order(0, 5)
        assert gate.answers(1, timeout_s=3600) == [(0, 5)]  # else the test's own timeout ends it
        gate.order(0, END)


def test_a_caller_waiting_a_second_sleeps(gate_class):
    gate = gate_class(shared_words(1))
    gate.order(0, 1)
    before_s = time.process_time()
    assert gate.answers(1, timeout_s=1) == []
    assert time.process_time() - before_s < 0.3


def test_a_worker_waiting_a_second_sleeps(gate_class):
    words = shared_words(1)
    gate = gate_class(words)

    def answer_with_time_used():
        own_gate, before_s = gate_class(words), time.process_time()
        own_gate.next_order(0)
        own_gate.answer(0, 1 + int(1000 * (time.process_time() - before_s)))

    with processes(answer_with_time_used, ()):
        time.sleep(1)
        gate.order(0, 1)
        [(_, used_ms)] = gate.answers(1, timeout_s=20)
    assert used_ms < 300


def test_a_worker_that_was_suspended_continues(gate_class):
    words = shared_words(1)
    gate = gate_class(words)
    with processes(obey, (gate_class(words), 0)) as [pid]:
        for order in (1, 2, 3):
            wait_until_asleep([pid])
            os.kill(pid, signal.SIGSTOP)
            if order == 2:  # in time to be found on waking, or later
                gate.order(0, order)
            os.kill(pid, signal.SIGCONT)
            if order != 2:
                gate.order(0, order)
            assert gate.answers(1, timeout_s=20) == [(0, order)]
        gate.order(0, END)


def test_a_signal_does_not_end_a_wait_early(gate_class):
    heard = []
    before = signal.signal(signal.SIGALRM, lambda *_: heard.append("alarm"))
    gate = gate_class(shared_words(1))
    gate.order(0, 1)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        until_s = time.monotonic() + 0.3
        assert gate.answers(1, timeout_s=0.3) == []
        assert time.monotonic() >= until_s
    finally:
        signal.signal(signal.SIGALRM, before)
    assert heard == ["alarm"]


def test_orders_that_come_before_a_worker_looks_are_all_obeyed(gate_class):
    """So an order to close reaches a worker that was sent another order just before."""
    words = shared_words(1)
    gate = gate_class(words)
    gate.order(0, 1)
    gate.order(0, 2)
    worker = gate_class(words)
    assert [worker.next_order(0), worker.next_order(0)] == [2, 2]


def test_a_replacement_worker_starts_with_a_cleared_line(gate_class):
    words = shared_words(2)
    gate = gate_class(words)
    for _ in range(3):
        before = gate_class(words)
        gate.order(0, 5)
        assert before.next_order(0) == 5
        before.answer(0, 6)
        gate.forget(0)  # what it answered is not heard
        assert gate.answers(1, timeout_s=0) == []
        after = gate_class(words)
        gate.order(0, 7)
        assert after.next_order(0) == 7
        assert gate.answers(1, timeout_s=0) == []
        after.answer(0, 8)
        assert gate.answers(1, timeout_s=0) == [(0, 8)]
        gate.forget(0)


def test_the_first_answer_of_a_replacement_wakes_the_caller(gate_class):
    words = shared_words(1)
    gate = gate_class(words)
    for _ in range(3):
        with processes(obey, (gate_class(words), 0, lambda: time.sleep(0.1))) as [pid]:
            gate.order(0, 1)
            assert gate.answers(1, timeout_s=3600) == [(0, 1)]
            os.kill(pid, signal.SIGKILL)
        gate.forget(0)


def test_on_a_busy_core_waits_sleep_and_do_not_yield_it(gate_class):
    """To yield is to wait until the other process has used up its slice of the core."""
    core, waits = {min(os.sched_getaffinity(0))}, 200
    flags = shared_words(1)[0]  # 0: the wait is over, 1: how often the core was given up

    def occupy():
        os.sched_setaffinity(0, core)
        while not flags[0]:
            pass

    def wait():
        os.sched_setaffinity(0, core)
        gate = gate_class(shared_words(1))
        gate.order(0, 1)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
        for _ in range(waits):
            gate.answers(1, timeout_s=0.0002)
        flags[:2] = 1, resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw - before

    with processes(lambda target: target(), (occupy,), (wait,)):
        pass
    assert flags[0]
    assert flags[1] < waits / 2


def test_counters_continue_after_an_overflow(gate_class):
    words = shared_words(1)
    words[0, [1, 3]] = 2**31 - 2  # so many orders and answers have been
    gate, worker = gate_class(words), gate_class(words)
    for number in (1, 2, 3):
        gate.order(0, number)
        worker.answer(0, number)
        assert gate.answers(1, timeout_s=0) == [(0, number)]


@pytest.mark.skipif("compiled" not in TWINS, reason="no compiler built it")
@pytest.mark.parametrize(
    "words",
    [
        np.zeros((2, 16), np.int64),
        np.zeros((2, 8), np.int32),
        np.zeros(32, np.int32),
        np.zeros((2, 32), np.int32)[:, ::2],
    ],
    ids=["int64", "short lines", "no lines", "strided"],
)
def test_the_compiled_gate_writes_to_no_other_memory(words):
    with pytest.raises(ValueError, match=r"int32 \(workers \+ 1, 16\)|C-contiguous"):
        TWINS["compiled"](words)


@pytest.mark.skipif("compiled" not in TWINS, reason="no compiler built it")
@pytest.mark.parametrize("worker", [-1, 2])
def test_the_compiled_gate_knows_its_workers(worker):
    gate = TWINS["compiled"](shared_words(2))
    for name, *arguments in [("order", 1), ("answer", 1), ("next_order",), ("forget",)]:
        with pytest.raises(IndexError, match=f"there are 2 workers, no worker {worker}"):
            getattr(gate, name)(worker, *arguments)


@pytest.mark.skipif("compiled" not in TWINS, reason="no compiler built it")
@pytest.mark.parametrize(("flag", "module"), [("1", "_gate_plain"), ("", "_gate"), ("0", "_gate")])
def test_the_environment_chooses_the_twin(flag, module):
    code = "from pufferlib.vector.processes.gate import Gate; print(Gate.__module__)"
    environ = dict(os.environ, PUFFERLIB_NO_EXTENSIONS=flag)
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, timeout=240
    )
    assert done.stdout.strip() == f"pufferlib.vector.processes.{module}"
