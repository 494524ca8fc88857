"""The benchmark runs every contender and reports its throughput."""

import subprocess
import sys

import pytest

from pufferlib.benchmark import compare
from pufferlib.registry import classic_control, ocean, stable_retro


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


@pytest.mark.long
def test_java_in_the_benchmarks_process_does_no_harm():
    # In a new process, because other tests may have started Java in this one.
    sizes = ["--num-envs", "2", "--num-workers", "1", "--rounds", "1", "--seconds", "0.05"]
    command = [sys.executable, "-m", "pufferlib.cli", "bench", "MicroRTS-8x8-workerRushAI"]
    result = subprocess.run([*command, *sizes], capture_output=True, text=True, timeout=240)
    assert result.returncode == 0, result.stderr
    for name in ("bare", "Serial", "Multiprocessing", "AsyncVectorEnv", "SubprocVecEnv"):
        assert name in result.stdout


@pytest.mark.long
def test_a_package_that_allows_one_environment_per_process_gets_one_process_each():
    creator = stable_retro.env_creator()
    rows = compare(creator, num_envs=2, rounds=1, seconds=0.05, is_one_per_process=True)
    assert [row.name for row in rows] == [
        "bare",
        "emulated",
        "Multiprocessing, 2 workers",
        "gymnasium AsyncVectorEnv",
        "SB3 SubprocVecEnv",
    ]


def test_a_native_environment_is_measured_alone_and_vectorized():
    rows = compare(ocean.env_creator(), num_envs=2, num_workers=1, rounds=1, seconds=0.05)
    assert [row.name for row in rows] == ["one environment", "Serial", "Multiprocessing, 1 workers"]
