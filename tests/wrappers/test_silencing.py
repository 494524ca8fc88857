"""An environment's output is suppressed; its user's output is not."""

import gc
import io
import os
import pickle
import subprocess
import sys
from pathlib import Path

import gymnasium
import pytest
from environments import Countdown, Noisy, NoisyPopulation, make_noise

from pufferlib import vector
from pufferlib.exceptions import ArgumentError
from pufferlib.wrappers import make_silent, silence
from pufferlib.wrappers.silencing import silent

TESTS = Path(__file__).parents[1]


def play(env, actions):
    env.reset(seed=0)
    env.step(actions)
    env.render()
    env.close()


def script(body):
    """Run Python code in a new process with its output in pipes; return (stdout, stderr)."""
    lines = ["import os, sys", f"sys.path.insert(0, {str(TESTS)!r})"]
    lines += ["from environments import Noisy, make_noise"]
    lines += ["from pufferlib.wrappers import make_silent, silence", body]
    code = [sys.executable, "-W", "error", "-c", "\n".join(lines)]
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    result = subprocess.run(
        code, capture_output=True, text=True, timeout=240, check=False, env=buffered
    )
    assert result.returncode == 0, result.stderr
    return result.stdout, result.stderr


CASES = {"gymnasium": (Noisy, 0), "parallel": (NoisyPopulation, {"early": 0, "through": 0})}


@pytest.mark.parametrize(("noisy", "actions"), CASES.values(), ids=CASES.keys())
def test_silence_covers_the_environment_but_not_its_constructor(noisy, actions, capfd):
    noise = noisy()
    assert "made" in capfd.readouterr().out
    play(silence(noise), actions)
    make_noise("")  # flushes what C code had left in its buffer
    assert capfd.readouterr() == ("\n", "\n")
    play(noise, actions)
    heard = capfd.readouterr()
    for word in ("reset", "stepped", "rendered", "closed"):
        assert word in heard.err
        assert word in heard.out


@pytest.mark.parametrize(("noisy", "actions"), CASES.values(), ids=CASES.keys())
def test_make_silent_covers_constructor_and_environment(noisy, actions, capfd):
    play(make_silent(noisy)(), actions)
    make_noise("")
    assert capfd.readouterr() == ("\n", "\n")


def test_output_before_and_after_is_kept_in_order():
    before = "print('before'); print('before', file=sys.stderr); make_noise('also')"
    body = f"{before}\nenv = make_silent(Noisy)()\nenv.reset()\nenv.step(0)\nprint('after')"
    out, err = script(body)
    # Unbuffered output comes first; then, before the constructor's, the buffers of Python and C.
    assert out == "also" + "before\nalso\n" + "also" + "after\n"
    assert err == "before\nalso\nalso"


def test_a_closed_or_missing_stream_is_ignored():
    body = "env = make_silent(Noisy)()\nenv.reset()\nprint('after', file=sys.stderr)"
    assert script(f"sys.stdout = None\n{body}") == ("", "after\n")
    assert script(f"os.close(1)\n{body}") == ("", "after\n")
    assert script(f"sys.stdout.close()\nsys.stdout = sys.stderr\n{body}") == ("", "after\n")


def test_a_file_that_replaces_stdout_is_silenced(tmp_path, monkeypatch):
    with (tmp_path / "log").open("w+") as log:
        monkeypatch.setattr(sys, "stdout", log)
        print("before")
        with silent():
            print("within")
            assert not os.get_inheritable(log.fileno())
        print("after")
        assert not os.get_inheritable(log.fileno())
        log.seek(0)
        assert log.read() == "before\nafter\n"


def test_a_stream_without_a_file_is_not_silenced(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    with silent():
        print("within")
    assert stream.getvalue() == "within\n"


def test_nested_silence_ends_with_the_outer_one(capfd):
    with silent():
        with silent():
            make_noise("within")
        make_noise("between")
    make_noise("after")
    assert capfd.readouterr().err == "after\nafter"


OVERLAP = """
import threading
from pufferlib.wrappers.silencing import silent

first_began, second_began, first_ended = (threading.Event() for _ in range(3))

def first():
    with silent():
        first_began.set()
        assert second_began.wait(200)
    first_ended.set()

def second():
    assert first_began.wait(200)
    with silent():
        second_began.set()
        assert first_ended.wait(200)
        make_noise("within")

threads = [threading.Thread(target=target) for target in (first, second)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert first_ended.is_set()
make_noise("after")
"""


def test_concurrent_silences_end_with_the_last_thread():
    assert script(OVERLAP) == ("afterafter\nafter", "after\nafter")


# One thread is silent throughout. The other silences its own file, closes it, and opens another,
# which gets the descriptor of the first.
REUSED = """
import sys, threading
from pufferlib.wrappers.silencing import silent

is_silent, is_done = threading.Event(), threading.Event()

def stay():
    with silent():
        is_silent.set()
        assert is_done.wait(200)

thread = threading.Thread(target=stay)
thread.start()
assert is_silent.wait(200)
stdout = sys.stdout
with open(sys.argv[1], "w") as sys.stdout:
    number = sys.stdout.fileno()
    with silent():
        print("within")
    print("after")
sys.stdout = stdout
with open(sys.argv[2], "w") as other:
    assert other.fileno() == number
    other.write("precious")
    is_done.set()
    thread.join()
"""


def test_a_descriptor_is_restored_before_another_file_reuses_it(tmp_path):
    log, data = tmp_path / "log", tmp_path / "data"
    command = [sys.executable, "-c", REUSED, str(log), str(data)]
    subprocess.run(command, check=True, timeout=240)
    assert (log.read_text(), data.read_text()) == ("after\n", "precious")


def test_a_replacement_of_stdout_during_silence_is_silenced(tmp_path, monkeypatch):
    with (tmp_path / "log").open("w+") as log:
        with silent():
            monkeypatch.setattr(sys, "stdout", log)
            print("between")
            with silent():
                print("within")
        print("after")
        log.seek(0)
        assert log.read() == "between\nafter\n"


class Failing(Countdown):
    """Prints, then raises the given error."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def step(self, action):
        make_noise("failing")
        raise self.error


@pytest.mark.parametrize("error", [KeyError("energy"), StopIteration(3), KeyboardInterrupt()])
def test_an_error_propagates_and_ends_the_silence(error, capfd):
    env = silence(Failing(error))
    env.reset()
    with pytest.raises(type(error), match=r"energy|3|^$") as raised:
        env.step(0)
    assert raised.value is error
    make_noise("after")
    assert capfd.readouterr().err == "after\nafter"


def descriptors():
    """Return, by open descriptor, whether child processes inherit it."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[int(name)] = os.get_inheritable(int(name))
        except OSError:  # the descriptor of the listing itself
            continue
    return found


def test_no_descriptor_is_left_open_or_made_inheritable():
    gc.collect()  # else descriptors of earlier tests may be closed in between
    before = descriptors()
    env = silence(Failing(ValueError("no")))
    for _ in range(3):
        env.reset()
        with pytest.raises(ValueError, match="no"):
            env.step(0)
    with silent():
        within = descriptors()
    assert descriptors() == before
    assert {number: within[number] for number in before} == before
    assert len(within) > len(before)
    assert not any(within[number] for number in within.keys() - before.keys())


def test_a_process_started_during_silence_is_silent_and_one_started_after_is_not(capfd):
    with silent():
        subprocess.run(["echo", "within"], check=True, timeout=240)
    subprocess.run(["echo", "after"], check=True, timeout=240)
    assert capfd.readouterr().out == "after\n"


def test_a_silent_creator_can_be_pickled_and_passes_on_its_arguments():
    creator = pickle.loads(pickle.dumps(make_silent(Noisy)))
    assert creator(5).unwrapped.length == 5
    assert creator(length=6).unwrapped.length == 6


def test_silent_environments_play_in_worker_processes(capfd):
    make = make_silent(Noisy)
    envs = vector.make(make, num_envs=2, backend="Multiprocessing", num_workers=2)
    try:
        assert envs.reset(seed=0)[0].tolist() == [[1, 0], [1, 0]]
        assert envs.step([0, 0])[0].tolist() == [[1, 1], [1, 1]]
    finally:
        envs.close()
    assert capfd.readouterr() == ("", "")


def test_a_creator_that_cannot_be_called_is_refused():
    with pytest.raises(
        ArgumentError, match=r"env_creator must be .*got an instance of .*Countdown"
    ):
        make_silent(Countdown())
    with pytest.raises(
        ArgumentError, match=r"silence takes a gymnasium\.Env .*got .*builtins\.int"
    ):
        make_silent(int)()


def test_play_is_unchanged():
    ours, bare = (gymnasium.make("CartPole-v1", disable_env_checker=True) for _ in range(2))
    ours = silence(ours)
    assert ours.reset(seed=0)[0].tolist() == bare.reset(seed=0)[0].tolist()
    for action in (0, 1, 1):
        actual, expected = ours.step(action), bare.step(action)
        assert actual[0].tolist() == expected[0].tolist()
        assert actual[1:] == expected[1:]
