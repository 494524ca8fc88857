"""Steps of benchmarks/gpu.sh: `unflatten` on the GPU, and a profile of training.

    python benchmarks/gpu.py unflatten [--device cuda]
    python benchmarks/gpu.py profile [--device cuda] [--only breakout] [--trace trace.json]

`unflatten` checks that rows on the GPU give the same tensors as on the CPU, for every leaf of
NetHack-like observations, and prints the time of a call. `profile` prints where the time of one
rollout and its update goes, after another one; --trace writes the picture, for chrome://tracing or
https://ui.perfetto.dev.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import record
import torch
from emulation import nethack_like
from tables import Table
from torch.profiler import ProfilerActivity, profile
from training import ours
from training_cells import CELLS, HORIZON

from pufferlib.emulation import Layout
from pufferlib.pytorch import unflatten

ROWS, CALLS, SHOWN = 256, 100, 12


def main() -> None:
    """Run one of the steps."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("step", choices=("unflatten", "profile"))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--only", choices=CELLS, default="breakout", metavar="NAME")
    parser.add_argument("--horizon", type=int, default=HORIZON, help="steps of a rollout")
    parser.add_argument("--trace", type=Path, metavar="FILE", help="write the profile's timeline")
    record.add_argument(parser)
    arguments = parser.parse_args()
    recorder = record.Recorder(f"gpu-{arguments.step}", arguments.record)
    if arguments.step == "unflatten":
        recorder.add(unflattened(arguments.device))
    else:
        settings = {"device": arguments.device, "horizon": arguments.horizon}
        recorder.add(profiled(arguments.only, settings, arguments.trace))


def unflattened(device: str) -> Table:
    """Check `unflatten` on a device against the CPU; return the times of a call."""
    space = nethack_like()
    layout = Layout.of(space)
    rows = np.stack([layout.flatten(space.sample()) for _ in range(ROWS)])
    on_cpu = torch.from_numpy(rows)
    on_device = on_cpu.to(device)
    expected, found = unflatten(on_cpu, layout), unflatten(on_device, layout)
    for key, leaf in expected.items():
        if found[key].device.type != torch.device(device).type:
            raise SystemExit(f"{key} is on {found[key].device}, not on {device}")
        if found[key].dtype != leaf.dtype or not torch.equal(found[key].cpu(), leaf):
            raise SystemExit(f"{key} differs between {device} and the CPU")
    times = {
        "cpu_us": us_a_call(lambda: unflatten(on_cpu, layout), "cpu"),
        "gpu_us": us_a_call(lambda: unflatten(on_device, layout), device),
    }
    title = f"unflatten, {ROWS} rows of {len(expected)} leaves, equal on {device} and on the CPU"
    return Table("unflatten", title, {"a call": times})


def us_a_call(call: Callable[[], Any], device: str) -> float:
    """Return the microseconds per call, with what the device has to do."""
    call()
    synchronize(device)
    began_s = time.perf_counter()
    for _ in range(CALLS):
        call()
    synchronize(device)
    return (time.perf_counter() - began_s) / CALLS * 1e6


def synchronize(device: str) -> None:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()


def profiled(name: str, settings: dict[str, Any], trace: Path | None) -> Table:
    """Profile a rollout and its update; return the operations that take longest."""
    device = settings["device"]
    contender = ours(CELLS[name], settings, backend="Serial")
    try:
        contender.learn(1)
        activities = [ProfilerActivity.CPU]
        if torch.device(device).type == "cuda":
            activities.append(ProfilerActivity.CUDA)
        with profile(activities=activities) as measured:
            contender.learn(1)
            synchronize(device)
    finally:
        contender.close()
    if trace is not None:
        measured.export_chrome_trace(str(trace))
    events = sorted(
        measured.key_averages(), key=lambda e: (gpu_ms(e), e.self_cpu_time_total), reverse=True
    )
    rows = {
        f"`{event.key[:60]}`": {
            "calls": event.count,
            "gpu_ms": gpu_ms(event),
            "cpu_ms": event.self_cpu_time_total / 1000,
        }
        for event in events[:SHOWN]
    }
    total = {
        "calls": sum(event.count for event in events),
        "gpu_ms": sum(map(gpu_ms, events)),
        "cpu_ms": sum(event.self_cpu_time_total for event in events) / 1000,
    }
    return Table(name, f"{CELLS[name].task}: a rollout and its update", {"all": total, **rows})


def gpu_ms(event: Any) -> float:
    """Return the milliseconds of the GPU in an operation itself; named otherwise before 2.6."""
    us = getattr(event, "self_device_time_total", None)
    return float(event.self_cuda_time_total if us is None else us) / 1000


if __name__ == "__main__":
    main()
