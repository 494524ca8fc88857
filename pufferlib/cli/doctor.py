"""`puffer doctor`."""

import argparse
import os
import platform
import shutil
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import gymnasium
import torch
from rich.console import Console
from rich.table import Table

from pufferlib import registry
from pufferlib.cli.parser import Parser
from pufferlib.cores import cgroup_quota
from pufferlib.emulation.twin import IS_COMPILED
from pufferlib.exceptions import ArgumentError
from pufferlib.runs.diagnosis import Diagnosis, diagnose_folder
from pufferlib.vector import usable_cores
from pufferlib.vector.processes.shared_memory import RowMemory

_NEEDED_DRIVERS = {
    "12": 525,
    "13": 580,
}  # minimum by CUDA major version (NVIDIA)


def add_arguments(parser: Parser, words: Sequence[str]) -> None:
    """Add the options of the command."""
    parser.add_argument(
        "run",
        nargs="?",
        type=Path,
        metavar="RUN",
        help="folder of a run: name its faults by its metrics, instead of this machine's",
    )
    parser.add_argument("--brief", action="store_true", help="one line of facts, and the problems")


def run(arguments: argparse.Namespace) -> int:
    """Print the faults of a run, or one screen about this machine; return 0."""
    console = Console(highlight=False)
    if arguments.run is None:
        _report_machine(console, arguments.brief)
    elif arguments.brief:
        raise ArgumentError("--brief is for the report on this machine. Leave it out, or RUN.")
    else:
        _report_run(console, diagnose_folder(arguments.run))
    return 0


def _report_run(console: Console, diagnosis: Diagnosis) -> None:
    """Print a line for each fault, and one for those that could not be judged."""

    def line(text: str) -> None:
        console.print(text, markup=False, soft_wrap=True)

    if diagnosis.findings:
        line("fault · evidence · what to change")
    for finding in diagnosis.findings:
        line(" · ".join(finding))
    if diagnosis.unjudged:
        missing = sorted({name for names in diagnosis.unjudged.values() for name in names})
        line(
            f"Not judged: {', '.join(diagnosis.unjudged)}. The metrics of this run lack "
            f"{', '.join(missing)}: it is of an earlier version or of another algorithm."
        )
    if not diagnosis.findings:
        line("No faults found." if not diagnosis.unjudged else "No other faults found.")


def _report_machine(console: Console, brief: bool) -> None:
    """Print versions, GPU, cores, shared memory, problems."""
    facts = list(_facts())
    if brief:
        console.print(" · ".join(value for _, value in facts[:4]), markup=False, soft_wrap=True)
    else:
        table = Table(box=None, show_header=False, pad_edge=False)
        table.add_column(style="cyan", no_wrap=True)
        table.add_column()
        for name, value in facts:
            table.add_row(name, value)
        console.print(table)
    problems = list(_problems())
    for problem, fix in problems:
        console.print(f"[red]![/red] {problem}. [bold]{fix}[/bold]")
    if not problems and not brief:
        console.print("[green]No problems found.[/green]")


def _facts() -> Iterator[tuple[str, str]]:
    image = os.environ.get("PUFFERLIB_IMAGE")
    where = f", image {image}" if image else ""
    yield (
        "pufferlib",
        f"pufferlib {version('pufferlib')}, Python {platform.python_version()}{where}",
    )
    cuda = f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPU build"
    yield "torch", f"torch {torch.__version__} ({cuda}), {torch.get_num_threads()} threads"
    yield "GPU", _gpu()
    yield "cores", f"{usable_cores()} usable of {os.cpu_count()} ({_core_limits()})"
    yield "memory", _memory()
    yield "shared memory", _shared_memory()
    yield "emulation", _emulation()
    libraries = ("numpy", "gymnasium", "pettingzoo")
    yield "libraries", ", ".join(f"{name} {_version(name)}" for name in libraries)
    yield "environments", ", ".join(registry.installed_samples())
    yield "platform", f"{platform.platform()}, {sys.executable}"


def _problems() -> Iterator[tuple[str, str]]:
    driver = _driver()
    if driver and torch.version.cuda is None:
        yield "There is a GPU, but this torch is a CPU build", "Install a CUDA build of torch"
    elif driver and not torch.cuda.is_available():
        major = (torch.version.cuda or "").partition(".")[0]
        needed = _NEEDED_DRIVERS.get(major)
        yield (
            f"There is a GPU, but torch cannot use it (driver {driver}, CUDA {torch.version.cuda})",
            f"Update the driver to {needed} or later" if needed else "Update the driver",
        )
    if "OMP_NUM_THREADS" in os.environ and torch.get_num_threads() > usable_cores():
        yield (
            f"torch computes with {torch.get_num_threads()} threads on {usable_cores()} cores",
            f"Set OMP_NUM_THREADS={usable_cores()}",
        )
    if not IS_COMPILED and "PUFFERLIB_NO_EXTENSIONS" not in os.environ:
        yield (
            "Emulation runs in plain Python, several times slower than compiled",
            "Install a C compiler (gcc), then pufferlib again",
        )
    if not hasattr(os, "memfd_create") and sys.platform == "linux":
        yield "This kernel has no memfd", "Use Linux 3.17 or later"


def _gpu() -> str:
    if torch.cuda.is_available():
        names = {torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())}
        return f"{torch.cuda.device_count()} x {', '.join(names)}, driver {_driver() or 'unknown'}"
    return f"not usable by torch, driver {_driver()}" if _driver() else "none"


def _driver() -> str:
    """Return the version of NVIDIA's kernel driver, "" if it is not loaded."""
    try:
        text = Path("/proc/driver/nvidia/version").read_text()
    except OSError:
        return ""
    words = text.split()
    return next((word for word in words if word[0].isdigit() and "." in word), "unknown")


def _core_limits() -> str:
    """Return what limits the cores: the affinity mask, and the cgroup's quota."""
    quota = cgroup_quota()
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"affinity {affinity}, quota {'none' if quota is None else f'{quota:g}'}"


def _memory() -> str:
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = _cgroup_limit()
    text = f"{pages / 2**30:.1f} GiB"
    return text if limit is None or limit >= pages else f"{limit / 2**30:.1f} GiB (limit) of {text}"


def _cgroup_limit() -> int | None:
    try:
        text = Path("/sys/fs/cgroup/memory.max").read_text().strip()
    except OSError:
        return None
    return None if text == "max" else int(text)


def _shared_memory() -> str:
    memory = RowMemory(gymnasium.spaces.Box(0, 1), gymnasium.spaces.Discrete(2), rows=1)
    with os.fdopen(memory.allocate(), "rb") as file:
        memory.map(file.fileno())
        works = "works"
    if not Path("/dev/shm").is_dir():
        return works
    return f"{works}; /dev/shm {shutil.disk_usage('/dev/shm').total / 2**20:.0f} MiB (not used)"


def _emulation() -> str:
    if IS_COMPILED:
        return "compiled"
    is_asked = os.environ.get("PUFFERLIB_NO_EXTENSIONS", "") not in ("", "0")
    return f"plain Python ({'PUFFERLIB_NO_EXTENSIONS is set' if is_asked else 'not compiled'})"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
