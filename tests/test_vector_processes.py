import os
import signal

import pytest
from vector_environments import hang
from vector_processes import end_and_reap, wait_until_asleep


def test_a_process_that_has_ended_is_not_waited_for():
    child = os.fork()
    if child == 0:
        os._exit(0)
    with pytest.raises(AssertionError, match=f"Process {child} has ended"):
        wait_until_asleep([child])
    os.waitpid(child, 0)
    with pytest.raises(AssertionError, match=f"Process {child} has ended"):
        wait_until_asleep([child])


def test_a_process_that_does_not_fall_asleep_is_named():
    child = os.fork()
    if child == 0:
        hang()
    os.kill(child, signal.SIGSTOP)
    os.waitpid(child, os.WUNTRACED)
    with pytest.raises(AssertionError, match=f"Process {child} is in state T, not asleep"):
        wait_until_asleep([child], deadline_s=0)
    end_and_reap({child})
