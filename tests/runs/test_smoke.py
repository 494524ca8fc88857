"""The smoke test passes environments that can be trained on, and finds faults of others."""

import dataclasses
import gc
import os
import re
import signal
import subprocess
import sys
import warnings
from contextlib import closing
from importlib.metadata import version

import gymnasium
import numpy as np
import pytest
from vector_processes import end_process, living_after

from pufferlib import registry
from pufferlib.cli.main import main
from pufferlib.environment import PufferEnv
from pufferlib.exceptions import ContractError, OldInterfaceWarning
from pufferlib.registry import ocean
from pufferlib.registry.ocean.squared import Squared
from pufferlib.runs.smoke import (
    check_same,
    installed_version,
    play,
    without_warnings,
)
from pufferlib.testing.resources import ResourceSnapshot
from pufferlib.vector import make

SLEEP = [sys.executable, "-S", "-c", "import time; time.sleep(600)"]


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr("pufferlib.testing.resources._GRACE_S", 0.1)


@pytest.mark.long
def test_the_smoke_test_passes_and_fails_where_it_should(capsys, monkeypatch):
    samples = {"ocean": "squared", "classic_control": "Acrobot-v1"}
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("pufferlib.registry.installed_samples", lambda: samples)
    assert main(["test", "Acrobot-v1"]) == 0
    assert "passed" in capsys.readouterr().out
    monkeypatch.setattr(Squared, "step", lambda self, actions: 1 / 0)
    assert main(["test", "all"]) == 1
    *_, failed, passed, reason = capsys.readouterr().out.splitlines()
    assert failed.startswith("ocean ")
    assert failed.rstrip().endswith(" failed")
    assert "passed" in passed  # a failure does not end the loop
    assert reason.startswith("ocean failed: WorkerError: ")
    assert "ZeroDivisionError" in reason


@pytest.mark.long
def test_a_task_without_seeds_passes_without_comparing_streams(capsys):
    assert main(["test", "NetHackChallenge-v0"]) == 0
    assert "passed" in capsys.readouterr().out


@pytest.mark.tasks
@pytest.mark.slow
def test_the_native_form_of_a_task_is_tested_too(capfd):
    assert main(["test", "procgen-bigfish-v0"]) == 0
    shown = capfd.readouterr().out
    ordinary, _, native = shown.partition("procgen-bigfish-v0, 2 games as one")
    for checked in ("Multiprocessing, fork", "Multiprocessing, spawn", "contract", "policy"):
        assert checked in ordinary
        assert checked in native


def test_a_native_form_that_ends_its_process_fails_the_test(capsys, monkeypatch):
    monkeypatch.setattr(
        "pufferlib.runs.smoke._Test.run", lambda self: (1, 1.0)
    )  # the ordinary form
    monkeypatch.setattr("pufferlib.runs.smoke._test_native", end_process)
    assert main(["test", "procgen-bigfish-v0"]) == 2
    message = "The process that played 2 games of procgen-bigfish-v0 as one died."
    assert message in capsys.readouterr().err


@pytest.mark.long
def test_each_sample_of_a_family_is_tested(capfd, monkeypatch):
    both = ("no such task", "squared")
    family = dataclasses.replace(ocean.FAMILY, samples=both, tasks=both)
    monkeypatch.setattr(ocean, "FAMILY", family)
    assert main(["test", "ocean"]) == 2
    shown = capfd.readouterr()
    first, *_, last = shown.out.splitlines()  # a failure does not end the loop
    assert first == "squared"
    assert "passed" in last
    assert "1 of the 2 samples of ocean failed: no such task. See the errors" in shown.err


@pytest.mark.long
def test_all_pass_only_if_all_are_installed(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("pufferlib.registry.installed_samples", lambda: {"ocean": "squared"})
    missing = dataclasses.replace(registry.load("nethack").FAMILY, needs=("is_not_here",))
    monkeypatch.setattr("pufferlib.registry.nethack.FAMILY", missing)
    small = ["--rounds", "1", "--seconds", "0.02", "--num-envs", "2"]
    for arguments, status in ((["bench", "all", *small], 0), (["test", "all"], 1)):
        assert main(arguments) == status
        *_, row, line = capsys.readouterr().out.splitlines()
        assert row.split() == ["nethack", "not", "installed"]
        assert line.startswith("1 of 2 families are not installed")
        assert line.endswith("puffer install nethack")


@pytest.mark.parametrize(
    ("name", "distribution"),
    [
        ("box2d", "box2d"),
        ("butterfly", "pettingzoo"),
        ("classic_control", "gymnasium"),
        ("open_spiel", "open_spiel"),
        ("pettingzoo_classic", "pettingzoo"),
        ("procgen", "procgen-mirror"),
        ("sisl", "pettingzoo"),
    ],
)
def test_the_version_is_that_of_the_distribution_with_the_environments(name, distribution):
    assert installed_version(registry.load(name).FAMILY) == version(distribution)


class Steps(PufferEnv):
    """Observes its step; every third ends, with an info.

    Args:
        at: a step with other outputs.
        **otherwise: by name, what it writes to a buffer, or its infos.
    """

    def __init__(self, at=6, **otherwise):
        self.single_observation_space = gymnasium.spaces.Box(0, 9, (1,), np.float32)
        self.single_action_space = gymnasium.spaces.Discrete(2)
        self.num_agents, self.now = 1, 0
        self.at, self.otherwise = at, otherwise
        super().__init__()

    def reset(self, seed=None):
        self.now = 0
        self.observations[:] = 0
        self.masks[:] = True
        return self.observations, []

    def step(self, actions):
        self.now += 1
        ends = self.now % 3 == 0
        self.observations[:] = self.now % 3
        self.rewards[:], self.masks[:] = actions, True
        self.terminals[:], self.truncations[:] = ends, False
        if ends:
            self.final_observations[:] = 3
        infos = [{"score": np.float32("nan"), "seen": np.arange(3)}] if ends else []
        if self.now == self.at:
            for name, value in self.otherwise.items():
                if name == "infos":
                    infos = value
                else:
                    getattr(self, name)[:] = value
        return self.observations, self.rewards, self.terminals, self.truncations, infos


def stream(steps=8, num_envs=2, **otherwise):
    with closing(make(lambda: Steps(**otherwise), backend="Serial", num_envs=num_envs)) as vecenv:
        return play(vecenv, steps, gymnasium.spaces.MultiDiscrete([2] * 4))


def test_equal_streams_pass_and_stale_rows_do_not_matter():
    check_same(stream(), stream(), "two")
    check_same(stream(), stream(at=5, final_observations=7), "two")
    check_same(stream(), stream(steps=5, rewards=2), "two")  # it has no sixth step
    check_same(stream(), stream(num_envs=4), "two")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("observations", 4),
        ("rewards", 2),
        ("rewards", -0.0),
        ("terminals", False),
        ("truncations", True),
        ("masks", False),
        ("final_observations", 4),
        ("infos", []),
        ("infos", [{"score": np.float32("nan"), "seen": np.arange(1, 4)}]),
        ("infos", [{"score": np.float32(0), "seen": np.arange(3)}]),
    ],
)
def test_a_difference_in_any_part_of_a_batch_is_found(name, value):
    base = {"rewards": 0} if name == "rewards" else {}
    with pytest.raises(
        ContractError, match=f"{name}.* of environment 0 differ in step 6 between two"
    ):
        check_same(stream(**base), stream(**{name: value}), "two")


def test_a_process_left_is_found_though_descriptors_are_fewer(impatient):
    opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(8)]
    snapshot = ResourceSnapshot()
    with subprocess.Popen(SLEEP) as process:
        for descriptor in opened:
            os.close(descriptor)
        with pytest.raises(ContractError, match=rf"processes remain.*\({process.pid}\)"):
            snapshot.check_released()
        process.kill()
    snapshot.check_released()


def test_a_descriptor_left_is_found_though_processes_are_fewer():
    gc.collect()  # else descriptors of earlier tests may be closed in between
    with subprocess.Popen(SLEEP) as process:
        snapshot = ResourceSnapshot()
        process.kill()
    snapshot.check_released()
    descriptor = os.open("/dev/zero", os.O_RDONLY)
    with pytest.raises(ContractError, match=r"descriptors are open; before .* New: /dev/zero"):
        snapshot.check_released()
    os.close(descriptor)
    snapshot.check_released()


def test_a_process_that_a_worker_started_is_found_after_the_worker_ended(impatient):
    quiet = "stdout=subprocess.DEVNULL"
    script = f"import subprocess; print(subprocess.Popen({SLEEP!r}, {quiet}).pid, flush=True)"
    snapshot = ResourceSnapshot()
    with subprocess.Popen(
        [sys.executable, "-c", f"{script}; input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as worker:
        orphan = int(worker.stdout.readline())
        snapshot.note_started()
        worker.communicate(b"\n")
    try:
        with pytest.raises(ContractError, match=rf"processes remain.*\({orphan}\)"):
            snapshot.check_released()
    finally:
        os.kill(orphan, signal.SIGKILL)
    assert living_after({orphan}, deadline_s=60) == set()
    snapshot.check_released()


@pytest.mark.long
def test_an_environment_that_leaves_a_process_behind_fails(capsys, monkeypatch, impatient):
    init, started = Squared.__init__, []

    def start(self, *args, **kwargs):
        started.append(subprocess.Popen(SLEEP).pid)  # those of workers end with them
        init(self, *args, **kwargs)

    monkeypatch.setattr(Squared, "__init__", start)
    try:
        assert main(["test", "squared"]) == 2
    finally:
        for pid in started:
            os.kill(pid, signal.SIGKILL)
    error = capsys.readouterr().err
    assert "After close, processes remain" in error
    assert {int(pid) for pid in re.findall(r"\((\d+)\)", error)} <= set(started)


def test_a_warning_is_found_unless_it_is_filtered():
    with without_warnings():
        pass
    with without_warnings(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "old name", DeprecationWarning)
        warnings.warn("old name of it", DeprecationWarning, stacklevel=1)
    with (
        pytest.raises(ContractError, match=r"1 warnings, .* DeprecationWarning: new name"),
        without_warnings(),
    ):
        warnings.warn("new name of it", DeprecationWarning, stacklevel=1)


def test_an_old_interface_is_reported_and_passes():
    with pytest.warns(OldInterfaceWarning, match="reset takes no seed"), without_warnings():
        warnings.warn("reset takes no seed", OldInterfaceWarning, stacklevel=1)
