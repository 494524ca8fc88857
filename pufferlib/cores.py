"""How many cores and threads this process should use."""

import math
import os
from pathlib import Path

CGROUP_ROOT = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")
_most_threads: int | None = None


def usable_cores(cgroup_root: Path = CGROUP_ROOT) -> int:
    """Return how many cores this process may use, at least 1.

    This is the smaller of the affinity mask and the cgroup CPU quota, rounded up. Inside a
    container, `os.cpu_count()` would count the host's cores.
    """
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:  # macOS
        cores = os.cpu_count() or 1
    quota = cgroup_quota(cgroup_root)
    return max(1, cores if quota is None else min(cores, math.ceil(quota)))


def requested_threads() -> int | None:
    """Return the value of OMP_NUM_THREADS, at least 1; None if it is not set or not a number."""
    value = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, int(value)) if value.isdecimal() else None


def limit_threads(most: int) -> None:
    """Limit the result of `usable_threads` in this process, for example in a worker."""
    global _most_threads
    _most_threads = most


def usable_threads() -> int:
    """Return how many threads an environment should start: one per core, unless limited."""
    cores = usable_cores()
    return cores if _most_threads is None else min(cores, _most_threads)


def cgroup_quota(root: Path = CGROUP_ROOT, own: Path = _OWN_CGROUP) -> float | None:
    """Return the smallest quota, in cores, of the cgroups this process is in; None if unlimited.

    Args:
        root: where cgroups are mounted.
        own: the file that lists the process's cgroups; in a container these are the root itself.
    """
    try:
        lines = own.read_text().splitlines()
    except OSError:
        lines = []
    paths = {line.split(":", 2)[2].strip("/") for line in lines if line.count(":") >= 2}
    folders = {root}
    for path in paths:  # this group and its parents
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
