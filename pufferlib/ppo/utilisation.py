"""How busy a run keeps the machine."""

import contextlib
import os
import time
from pathlib import Path

import torch

from pufferlib.cores import usable_cores

_INTERVAL_S = 1.0
_GIB = 2**30


class Utilisation:
    """Cores and memory used by this process and those it started, and the GPU it trains on.

    Args:
        device: that the policy is on.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._cores = usable_cores()
        self._read_s, self._cpu_s = time.monotonic(), _cpu_seconds()
        self._last: dict[str, float] = {}

    def read(self) -> dict[str, float]:
        """Return metrics by name, measured at most once a second; {} in the first.

        `utilisation/cpu_percent` is of all usable cores, since the reading before. `memory_gib`
        counts what processes share once. `gpu_percent` is there where pynvml is installed.
        `gpu_memory_gib` is of everything that runs on the GPU.
        """
        now_s = time.monotonic()
        if now_s - self._read_s < _INTERVAL_S:
            return self._last
        cpu_s = _cpu_seconds()
        share = (cpu_s - self._cpu_s) / (now_s - self._read_s) / self._cores
        self._read_s, self._cpu_s = now_s, cpu_s
        found = {"cpu_percent": 100 * max(0.0, share)}
        memory_bytes = _memory_bytes()
        if memory_bytes:
            found["memory_gib"] = memory_bytes / _GIB
        if self._device.type == "cuda":
            found |= _gpu(self._device)
        self._last = {f"utilisation/{name}": value for name, value in found.items()}
        return self._last


def _gpu(device: torch.device) -> dict[str, float]:
    free, total = torch.cuda.mem_get_info(device)
    found = {"gpu_memory_gib": (total - free) / _GIB}
    with contextlib.suppress(ImportError, RuntimeError):  # no pynvml, or not allowed to ask
        found["gpu_percent"] = float(torch.cuda.utilization(device))
    return found


def _cpu_seconds() -> float:
    """Return the CPU time of this process and its descendants, those that ended counted in."""
    ticks = 0
    for pid in _tree():
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:  # it has just ended: its parent counts it
            continue
        ticks += sum(map(int, stat.rpartition(")")[2].split()[11:15]))  # (c)utime, (c)stime
    if not ticks:  # no /proc
        return sum(os.times()[:4])
    return ticks / os.sysconf("SC_CLK_TCK")


def _memory_bytes() -> int:
    """Return the resident memory of this process and its descendants, 0 where it is not known."""
    pages = 0
    for index, pid in enumerate(_tree()):
        try:
            _, resident, shared, *_ = map(int, Path(f"/proc/{pid}/statm").read_text().split())
        except OSError:
            continue
        pages += resident if index == 0 else resident - shared
    return pages * os.sysconf("SC_PAGE_SIZE")


def _tree() -> list[int]:
    """Return this process and its descendants."""
    found = [os.getpid()]
    for pid in found:  # grows meanwhile
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            try:
                found += map(int, children.read_text().split())
            except OSError:
                continue
    return found
