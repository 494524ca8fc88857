"""However a user's script ends, its workers end with it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from vector_processes import living, living_after

TESTS = Path(__file__).parents[1]
IMPORTABLE = os.pathsep.join(map(str, (TESTS, TESTS.parent)))

pytestmark = pytest.mark.timeout(30)


def start(*command):
    """Start Python in a process group of its own, able to import what this can."""
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
            assert len(workers) == 2
            awaited = {"ready", "asleep"} if doing == "asleep" else {"ready"}
            while awaited:
                line = script.stdout.readline()
                assert line, script.communicate()
                awaited.discard(line.strip())
            if end is not None:
                assert living(workers) == workers
                end(script.pid)
            _, errors = script.communicate(timeout=10)
            assert living_after(workers, deadline_s=5) == set()
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


@pytest.mark.parametrize("start_method", ["fork", "forkserver", "spawn"])
@pytest.mark.parametrize("doing", ["idle", "asleep"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_a_script_that_is_killed(number, start_method, doing):
    exit_code, _ = run_script(start_method, doing, "signal", end=lambda pid: os.kill(pid, number))
    assert exit_code == -number


def test_workers_end_with_a_script_although_their_own_children_live_on():
    exit_code, _ = run_script(
        "fork", "childbearing", "signal", end=lambda pid: os.kill(pid, signal.SIGKILL)
    )
    assert exit_code == -signal.SIGKILL


def test_a_spawning_script_without_a_main_guard_is_told_so(tmp_path):
    script = tmp_path / "unguarded.py"
    script.write_text(
        "from pufferlib import vector\n"
        "from vector_environments import Echo\n"
        "vector.make(Echo, backend=vector.Multiprocessing, start_method='spawn')\n"
    )
    with start(str(script)) as process:
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "your script lacks `if __name__ == '__main__':`" in errors.splitlines()[-1]
