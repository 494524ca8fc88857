"""The number of usable cores, from a fake cgroup folder and the real affinity mask."""

import os

import pytest

from pufferlib.cores import cgroup_quota, requested_threads
from pufferlib.vector import usable_cores


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, 8),
        ({"cpu.max": "max 100000"}, 8),
        ({"cpu.max": "400000 100000"}, 4),
        ({"cpu.max": "250000 100000"}, 3),  # two and a half cores
        ({"cpu.max": "50000 100000"}, 1),
        ({"cpu.max": "1600000 100000"}, 8),  # more than the machine has
        ({"cpu/cpu.cfs_quota_us": "300000", "cpu/cpu.cfs_period_us": "100000"}, 3),
        ({"cpu/cpu.cfs_quota_us": "75000", "cpu/cpu.cfs_period_us": "50000"}, 2),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 8),
        ({"cpu/cpu.cfs_quota_us": "300000"}, 8),  # no period: no quota
    ],
)
def test_the_quota_of_the_container_limits_the_cores(files, cores, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text + "\n")
    assert usable_cores(tmp_path) == cores


def test_the_affinity_mask_limits_the_cores(tmp_path):
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert usable_cores(tmp_path) == 1
    finally:
        os.sched_setaffinity(0, allowed)
    assert usable_cores(tmp_path) == len(allowed)


@pytest.mark.parametrize(
    ("value", "threads"), [("3", 3), ("0", 1), ("", None), ("4,2", None), ("²", None), ("-1", None)]
)
def test_omp_num_threads_is_read_if_it_is_a_number(value, threads, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert requested_threads() == threads
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert requested_threads() is None


@pytest.mark.parametrize(
    ("own", "files", "quota"),
    [
        ("0::/", {"cpu.max": "300000 100000"}, 3),
        ("0::/jobs/7", {"jobs/7/cpu.max": "150000 100000"}, 1.5),
        ("0::/jobs/7", {"jobs/cpu.max": "200000 100000", "jobs/7/cpu.max": "max 100000"}, 2),
        ("0::/jobs/7", {"jobs/cpu.max": "200000 100000", "jobs/7/cpu.max": "400000 100000"}, 2),
        ("0::/jobs/7", {"jobs/8/cpu.max": "100000 100000"}, None),  # another's
        (
            "4:cpu,cpuacct:/jobs/7\n3:memory:/",
            {"cpu/jobs/7/cpu.cfs_quota_us": "250000", "cpu/jobs/7/cpu.cfs_period_us": "100000"},
            2.5,
        ),
    ],
)
def test_the_quota_is_the_smallest_of_the_process_and_its_parents(own, files, quota, tmp_path):
    (tmp_path / "own").write_text(own + "\n")
    for name, text in files.items():
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    assert cgroup_quota(tmp_path / "root", tmp_path / "own") == quota
