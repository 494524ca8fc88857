"""The benchmark runs every contender and says what it measured."""

import subprocess
import sys

import pytest

from pufferlib.benchmark import compare
from pufferlib.registry import classic_control, ocean, stable_retro


@pytest.mark.timeout(90)
def test_every_contender_is_measured_against_the_bare_environment():
    rows = compare(classic_control.env_creator(), num_envs=2, num_workers=1, rounds=1, seconds=0.05)
    assert [row.name for row in rows] == [
        "bare",
        "emulated",
        "Serial",
        "Multiprocessing, 1 workers",
        "gymnasium SyncVectorEnv",
        "SB3 DummyVecEnv",
        "gymnasium AsyncVectorEnv",
        "SB3 SubprocVecEnv",
    ]
    assert rows[0].ratio == 1
    for row in rows:
        assert row.ratio == pytest.approx(row.steps_per_second / rows[0].steps_per_second)


@pytest.mark.timeout(90)
def test_java_in_the_benchmarks_process_is_in_nobodys_way():
    # In a process of its own: other tests may have started Java in this one.
    sizes = ["--num-envs", "2", "--num-workers", "1", "--rounds", "1", "--seconds", "0.05"]
    command = [sys.executable, "-m", "pufferlib.cli", "bench", "MicroRTS-8x8-workerRushAI"]
    told = subprocess.run([*command, *sizes], capture_output=True, text=True, timeout=80)
    assert told.returncode == 0, told.stderr
    for name in ("bare", "Serial", "Multiprocessing", "AsyncVectorEnv", "SubprocVecEnv"):
        assert name in told.stdout


@pytest.mark.timeout(90)
def test_of_a_package_that_allows_one_environment_a_process_each_has_its_own():
    creator = stable_retro.env_creator()
    rows = compare(creator, num_envs=2, rounds=1, seconds=0.05, is_one_per_process=True)
    assert [row.name for row in rows] == [
        "bare",
        "emulated",
        "Multiprocessing, 2 workers",
        "gymnasium AsyncVectorEnv",
        "SB3 SubprocVecEnv",
    ]


@pytest.mark.timeout(90)
def test_a_native_environment_is_measured_alone_and_vectorized():
    rows = compare(ocean.env_creator(), num_envs=2, num_workers=1, rounds=1, seconds=0.05)
    assert [row.name for row in rows] == ["one environment", "Serial", "Multiprocessing, 1 workers"]
