"""How many cores this process may use, and how many threads suit it."""

import math
import os
from pathlib import Path

CGROUP_ROOT = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")
_most_threads: int | None = None


def usable_cores(cgroup_root: Path = CGROUP_ROOT) -> int:
    """Return how many cores this process may keep busy, at least 1.

    The least of the affinity mask and the cgroup CPU quota, rounded up: inside a container
    `os.cpu_count()` counts the host's cores.
    """
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:  # macOS
        cores = os.cpu_count() or 1
    quota = cgroup_quota(cgroup_root)
    return max(1, cores if quota is None else min(cores, math.ceil(quota)))


def told_threads() -> int | None:
    """Return what OMP_NUM_THREADS says, at least 1; None where it is not set, or is no number."""
    told = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, int(told)) if told.isdecimal() else None


def limit_threads(most: int) -> None:
    """Let `usable_threads` be at most so many, in this process: one worker of several."""
    global _most_threads
    _most_threads = most


def usable_threads() -> int:
    """Return how many threads of its own suit an environment: as many as cores, unless limited."""
    cores = usable_cores()
    return cores if _most_threads is None else min(cores, _most_threads)


def cgroup_quota(root: Path = CGROUP_ROOT, own: Path = _OWN_CGROUP) -> float | None:
    """Return the least quota of the cgroups this process is in, in cores; None if unlimited.

    Args:
        root: where cgroups are mounted.
        own: says in which of them the process is; in a container it is the root itself.
    """
    try:
        lines = own.read_text().splitlines()
    except OSError:
        lines = []
    paths = {line.split(":", 2)[2].strip("/") for line in lines if line.count(":") >= 2}
    folders = {root}
    for path in paths:  # of this group and those around it
        parts = Path(path).parts
        folders |= {root.joinpath(*parts[:depth]) for depth in range(len(parts) + 1)}
        folders |= {root.joinpath("cpu", *parts[:depth]) for depth in range(len(parts) + 1)}
    quotas = [quota for folder in folders if (quota := _quota_in(folder)) is not None]
    return min(quotas, default=None)


def _quota_in(folder: Path) -> float | None:
    """Return the quota of one group: cgroup v2's cpu.max, or v1's cfs files."""
    try:
        quota, period = (folder / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            under = folder if (folder / "cpu.cfs_quota_us").exists() else folder / "cpu"
            quota = (under / "cpu.cfs_quota_us").read_text().strip()
            period = (under / "cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    if quota in ("max", "-1"):
        return None
    return int(quota) / int(period)
