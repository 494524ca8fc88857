"""CPU, memory and GPU utilization of a run."""

import contextlib
import os
import time

import torch

from pufferlib import proc
from pufferlib.cores import usable_cores

_INTERVAL_S = 1.0
_GIB = 2**30


class Utilization:
    """Cores and memory used by this process and its descendants, and the GPU it trains on.

    Args:
        device: that the policy is on.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._cores = usable_cores()
        self._read_s, self._cpu_s = time.monotonic(), cpu_seconds()
        self._last: dict[str, float] = {}

    def read(self) -> dict[str, float]:
        """Return metrics by name, measured at most once a second; {} in the first.

        `utilization/cpu_percent` is of all usable cores, since the last reading. `memory_gib`
        counts memory that processes share once. `gpu_percent` needs pynvml. `gpu_memory_gib` is of
        all programs on the GPU.
        """
        now_s = time.monotonic()
        if now_s - self._read_s < _INTERVAL_S:
            return self._last
        cpu_s = cpu_seconds()
        share = (cpu_s - self._cpu_s) / (now_s - self._read_s) / self._cores
        self._read_s, self._cpu_s = now_s, cpu_s
        found = {"cpu_percent": 100 * max(0.0, share)}
        memory_bytes = _memory_bytes()
        if memory_bytes:
            found["memory_gib"] = memory_bytes / _GIB
        if self._device.type == "cuda":
            found |= _gpu(self._device)
        self._last = {f"utilization/{name}": value for name, value in found.items()}
        return self._last


def _gpu(device: torch.device) -> dict[str, float]:
    free, total = torch.cuda.mem_get_info(device)
    found = {"gpu_memory_gib": (total - free) / _GIB}
    with contextlib.suppress(ImportError, RuntimeError):  # no pynvml, or not allowed to ask
        found["gpu_percent"] = float(torch.cuda.utilization(device))
    return found


def cpu_seconds() -> float:
    """Return the CPU time of this process and its descendants, those that ended counted in."""
    own = proc.read(os.getpid())
    if own is None:  # no /proc
        return sum(os.times()[:4])
    return sum(each.cpu_s + each.ended_children_cpu_s for each in (own, *proc.descendants()))


def _memory_bytes() -> int:
    """Return the resident memory of this process and its descendants, 0 where it is not known."""
    total, _ = proc.memory_bytes(os.getpid()) or (0, 0)
    for process in proc.descendants():
        resident, shared = proc.memory_bytes(process.pid) or (0, 0)
        total += resident - shared
    return total
