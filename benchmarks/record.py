"""Record what a benchmark measured as JSON: tables as numbers, machine, commit, date and command.

A record is a list of tables, each with the run that measured it: two of the same section and name
replace each other. `benchmarks/report.py` writes the tables of docs/benchmarks.md from it.
"""

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tables import Table, markdown
from targets import verdicts

from pufferlib.cores import usable_cores

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = (
    *("numpy", "torch", "gymnasium", "pettingzoo", "stable-baselines3"),
    *("nle", "minihack", "minigrid", "box2d", "mujoco", "ale-py", "procgen-mirror", "gym-microrts"),
    "slimevolleygym",
)


def add_argument(parser: argparse.ArgumentParser) -> None:
    """Add the option --record."""
    parser.add_argument(
        "--record", type=Path, metavar="FILE", help="write what was measured into this JSON file"
    )


class Recorder:
    """Print tables as they are measured, each with its targets, and add them to a record.

    Args:
        section: whose columns and targets the tables have.
        path: of the record; None: print only.
    """

    def __init__(self, section: str, path: Path | None) -> None:
        self._section, self._path = section, path
        self._run = run_facts(command()) if path else {}

    def add(self, table: Table) -> None:
        """Print a table and add it to the record."""
        print(f"**{table.title}**\n\n{markdown(self._section, table.rows)}\n")
        for verdict in verdicts(self._section, table):
            print(verdict)
        print(flush=True)
        self.keep(table)

    def keep(self, table: Table) -> None:
        """Add a table to the record only: one that is not complete."""
        if self._path is not None:
            self._write(self._path, table)

    def _write(self, path: Path, table: Table) -> None:
        run = run_name(self._run)
        new = {"section": self._section, **asdict(table), "run": run}
        save(merged(load(path), {"runs": {run: self._run}, "tables": [new]}), path)


def run_facts(command: str) -> dict[str, Any]:
    """Return what is recorded of a run that begins: command, date, load, commit and machine."""
    date, load = datetime.now(UTC).isoformat(timespec="seconds"), round(os.getloadavg()[0], 1)
    return {"command": command, "date": date, "load": load, **git(), "machine": machine()}


def run_name(facts: dict[str, Any]) -> str:
    """Return the name of a run in a record."""
    return f"{facts['date']} {facts['command']}"


def load(path: Path) -> dict[str, Any]:
    """Return a record; an empty one if the file does not exist."""
    empty: dict[str, Any] = {"runs": {}, "tables": []}
    return json.loads(path.read_text()) if path.exists() else empty


def merged(record: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Return a record with the tables of another one, which replace its own of the same name."""
    tables = {(table["section"], table["name"]): table for table in record["tables"]}
    tables |= {(table["section"], table["name"]): table for table in new["tables"]}
    runs, used = record["runs"] | new["runs"], {table["run"] for table in tables.values()}
    return {
        "runs": {name: facts for name, facts in runs.items() if name in used},
        "tables": [*tables.values()],
    }


def save(record: dict[str, Any], path: Path) -> None:
    """Write a record."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(record, indent=1) + "\n")
    part.replace(path)


def command() -> str:
    """Return the command of this process, for a shell, without folders of this machine."""
    words, skips = [], False
    for word in sys.argv[1:]:  # without --record and its file
        if not skips and word != "--record" and not word.startswith("--record="):
            words.append(word)
        skips = word == "--record"
    script = f"{Path(sys.argv[0]).resolve()}"
    return f"{threads()}{shlex.join(['python', *without_folders([script, *words])])}"


def threads() -> str:
    """Return the setting of OMP_NUM_THREADS, as the start of a command."""
    number = os.environ.get("OMP_NUM_THREADS")
    return f"OMP_NUM_THREADS={shlex.quote(number)} " if number else ""


def without_folders(words: Sequence[str]) -> list[str]:
    """Return words of a command with absolute paths shortened: from ROOT, or to the last name."""
    shortened = []
    for word in words:
        option, equals, value = word.partition("=") if word.startswith("-") else ("", "", word)
        path = Path(value)
        if path.is_absolute():
            value = str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else path.name
        shortened.append(f"{option}{equals}{value}")
    return shortened


def git() -> dict[str, Any]:
    """Return the commit of this checkout, and whether files differ from it; None without git."""
    try:
        commit, changes = (
            subprocess.run(
                ["git", "-C", str(ROOT), *arguments],
                capture_output=True,
                text=True,
                check=True,
                timeout=20,
            ).stdout.strip()
            for arguments in (
                ("rev-parse", "--short=10", "HEAD"),
                ("status", "--porcelain", "--untracked-files=no"),
            )
        )
    except (OSError, subprocess.SubprocessError):
        return {"commit": None, "is_dirty": None}
    return {"commit": commit, "is_dirty": changes != ""}


def machine() -> dict[str, Any]:
    """Return the processor, cores, memory, GPUs, kernel, and versions of Python and packages."""
    return {
        "cpu": _cpu(),
        "cores": usable_cores(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "gpus": gpus(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
    }


def gpus() -> list[str]:
    """Return the name and driver of each NVIDIA GPU."""
    query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        result = subprocess.run(query, capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return []
    return result.stdout.strip().splitlines()


def _cpu() -> str:
    """Return the name of the processor's model."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
