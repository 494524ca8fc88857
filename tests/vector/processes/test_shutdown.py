"""Whichever way a user's script ends, its workers end with it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from vector_environments import Echo, Unclosable
from vector_processes import children, living, living_after

from pufferlib import vector
from pufferlib.exceptions import WorkerError
from pufferlib.vector import Multiprocessing

TESTS = Path(__file__).parents[2]
IMPORTABLE = os.pathsep.join(map(str, (TESTS, TESTS.parent)))


def start(*command):
    """Start Python in a new process group, with the import path of this process."""
    return subprocess.Popen(
        [sys.executable, *command],
        env={**os.environ, "PYTHONPATH": IMPORTABLE},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def run_script(start_method, doing, ending, end=None):
    """Run the script, call `end(its id)` once it is ready; return its exit code and errors.

    Fails if a worker outlives it, or keeps its pipes open.
    """
    with start(str(TESTS / "vector_script.py"), start_method, doing, ending) as script:
        try:
            workers = {int(pid) for pid in script.stdout.readline().split()}
            assert len(workers) == (6 if doing == "parents" else 2)
            awaited = {"ready", "asleep"} if doing == "asleep" else {"ready"}
            while awaited:
                line = script.stdout.readline()
                assert line, script.communicate()
                awaited.discard(line.strip())
            if end is not None:
                assert living(workers) == workers
                end(script.pid)
            _, errors = script.communicate(timeout=240)
            assert living_after(workers, deadline_s=60) == set()
            return script.returncode, errors
        finally:
            if script.poll() is None:
                os.killpg(script.pid, signal.SIGKILL)


@pytest.mark.parametrize("doing", ["idle", "asleep"])
@pytest.mark.parametrize("ending", ["close", "no close"])
def test_a_script_that_ends_leaves_no_worker(doing, ending):
    assert run_script("fork", doing, ending) == (0, "")


@pytest.mark.parametrize("doing", ["idle", "asleep"])
def test_an_uncaught_error_ends_the_script_and_its_workers(doing):
    exit_code, errors = run_script("fork", doing, "error")
    assert exit_code == 1
    assert errors.endswith("RuntimeError: a slip in the user's script\n")
    assert errors.count("Traceback") == 1


@pytest.mark.parametrize("start_method", ["fork", "forkserver", "spawn"])
@pytest.mark.parametrize("doing", ["idle", "asleep"])
def test_ctrl_c_ends_the_script_and_its_workers(start_method, doing):
    exit_code, errors = run_script(
        start_method, doing, "signal", end=lambda pid: os.killpg(pid, signal.SIGINT)
    )
    assert exit_code == -signal.SIGINT
    assert errors.endswith("KeyboardInterrupt\n")
    assert errors.count("Traceback") == 1


@pytest.mark.parametrize(
    ("number", "start_method", "doing"),
    [
        (signal.SIGTERM, "fork", "idle"),
        (signal.SIGTERM, "forkserver", "asleep"),
        (signal.SIGTERM, "spawn", "idle"),
        (signal.SIGKILL, "fork", "asleep"),
        (signal.SIGKILL, "forkserver", "idle"),
        (signal.SIGKILL, "spawn", "asleep"),
    ],
)
def test_workers_end_with_a_script_that_is_killed(number, start_method, doing):
    exit_code, _ = run_script(start_method, doing, "signal", end=lambda pid: os.kill(pid, number))
    assert exit_code == -number


@pytest.mark.parametrize("ending", ["close", "no close", "error", "signal"])
def test_processes_of_environments_end_with_a_script(ending):
    end = (lambda pid: os.kill(pid, signal.SIGKILL)) if ending == "signal" else None
    exit_code, _ = run_script("fork", "parents", ending, end)
    assert exit_code == {"error": 1, "signal": -signal.SIGKILL}.get(ending, 0)


def test_the_error_of_a_spawning_script_names_the_missing_main_guard(tmp_path):
    script = tmp_path / "unguarded.py"
    script.write_text(
        "from pufferlib import vector\n"
        "from vector_environments import Echo\n"
        "vector.make(Echo, backend=vector.Multiprocessing, start_method='spawn')\n"
    )
    with start(str(script)) as process:
        _, errors = process.communicate(timeout=240)
    assert process.returncode == 1
    assert "your script lacks `if __name__ == '__main__':`" in errors.splitlines()[-1]


INTERRUPTED = """
import os, signal
from vector_environments import Faulty, hang
from vector_processes import children, open_descriptors, start_helpers
from pufferlib import vector

start_helpers()
before = open_descriptors()
caller = os.getpid()

def interrupt():
    os.kill(caller, signal.SIGALRM)
    hang()

faults = [["step", interrupt], ["step", hang]]
envs = vector.make([Faulty] * 2, faults, backend="Multiprocessing", num_envs=2, num_workers=2)
envs.reset()
for _ in range(2):
    envs.step([0, 0])
signal.signal(signal.SIGALRM, signal.default_int_handler)
try:
    envs.step([0, 0])
except KeyboardInterrupt:
    print("interrupted")
print(len(children()), open_descriptors() - before)
try:
    envs.reset()
except Exception as error:
    print(error)
"""


def test_ctrl_c_in_a_notebook_closes_a_vectorizer_in_an_unknown_state():
    with start("-c", INTERRUPTED) as process:
        said, errors = process.communicate(timeout=240)
    assert said.splitlines()[:2] == ["interrupted", "0 0"], errors
    assert "after a failure. Make a new" in said
    assert process.returncode == 0


STOPPED = """
import time
from pufferlib import vector
from vector_environments import Echo

class Slow(Echo):
    def step(self, action):
        for _ in range(10):
            time.sleep(0.05)  # not in one go: a stop ends the sleep it comes in
        return super().step(action)

envs = vector.make(Slow, backend="Multiprocessing", num_envs=2, num_workers=2, timeout_s=4)
envs.reset(seed=0)
print("ready", flush=True)
for step in range(8):
    envs.step([step, step])
print(envs.num_restarts)
envs.close()
"""


@pytest.mark.long
def test_after_ctrl_z_for_longer_than_the_timeout_no_worker_is_late():
    with start("-c", STOPPED) as process:
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.3)  # in the midst of a step
        os.killpg(process.pid, signal.SIGSTOP)
        time.sleep(5)
        os.killpg(process.pid, signal.SIGCONT)
        said, errors = process.communicate(timeout=240)
    assert (said, errors, process.returncode) == ("0\n", "", 0)


def test_a_worker_that_was_stopped_alone_is_stuck():
    envs = vector.make(Echo, backend=Multiprocessing, num_envs=2, num_workers=2, timeout_s=3)
    envs.reset(seed=0)
    os.kill(envs.call("pid")[1], signal.SIGSTOP)
    with pytest.raises(WorkerError, match=r"Worker 1 .* has not finished step\(\) within"):
        envs.step([0, 0])
    assert children() == set()


@pytest.mark.parametrize("timeout_s", [3, None])
def test_a_worker_that_takes_no_message_is_stuck_and_can_be_closed(timeout_s):
    """A message of more than a pipe holds waits for its reader."""
    envs = vector.make(
        Echo, backend=Multiprocessing, num_envs=2, num_workers=2, timeout_s=timeout_s
    )
    envs.reset(seed=0)
    os.kill(envs.call("pid")[1], signal.SIGSTOP)
    if timeout_s is None:  # then it is for the caller to lose patience
        before = signal.signal(signal.SIGALRM, signal.default_int_handler)
        signal.setitimer(signal.ITIMER_REAL, 1)
    try:
        with pytest.raises((WorkerError, KeyboardInterrupt)) as raised:
            envs.call("greet", "Hello" * 10**6)
    finally:
        if timeout_s is None:
            signal.signal(signal.SIGALRM, before)
    if timeout_s is not None:
        assert "Worker 1 (environment 1) has not finished greet() within" in str(raised.value)
    assert children() == set()


@pytest.mark.parametrize("ending", ["os._exit(0)", "sys.exit()", "envs.close(); sys.exit()"])
def test_a_process_forked_by_the_caller_can_exit_without_affecting_the_workers(ending):
    code = f"""
import os, sys
from pufferlib import vector
from vector_environments import Echo

envs = vector.make(Echo, backend="Multiprocessing", num_envs=2, num_workers=2)
envs.reset(seed=0)
envs.step([1, 2])
child = os.fork()
if child == 0:
    {ending}
print(os.waitpid(child, 0)[1])
print(envs.step([3, 4])[0].tolist())
envs.close()
"""
    with start("-c", code) as process:
        said, errors = process.communicate(timeout=240)
    assert (said, errors) == ("0\n[[0, 0, 2, 3], [0, 0, 2, 4]]\n", "")


def test_close_does_not_wait_for_environments_that_hang_in_it():
    envs = vector.make(Unclosable, backend=Multiprocessing, num_envs=2, num_workers=2)
    envs.reset(seed=0)
    workers = envs.call("pid")
    began_s = time.monotonic()
    envs.close()
    assert time.monotonic() - began_s < 30  # a second, on a machine that does nothing else
    assert living(workers) == set()


@pytest.mark.usefixtures("_patient")
def test_workers_close_even_if_they_have_not_begun_their_last_command(tmp_path):
    for number in range(6):
        graves = [tmp_path / f"{number} {tag}" for tag in range(4)]
        env_args = [[0, 9, None, grave] for grave in graves]
        envs = vector.make([Echo] * 4, env_args, backend=Multiprocessing, num_envs=4, num_workers=4)
        envs.async_reset(seed=0)
        envs.close()
        assert all(grave.exists() for grave in graves)
