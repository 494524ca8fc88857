"""Measure emulation, vectorization, the cost of a call, and busy machines: `make bench`.

    python benchmarks/run.py [--quick] [--record build/benchmarks.json]

Each script runs in its own process and is stopped when its time is over; all together they take at
most 15 minutes. What they measured until then is in the record, and `benchmarks/report.py` writes
docs/benchmarks.md from it.
"""

import argparse
import os
import signal
import subprocess
import sys
from pathlib import Path

from record import ROOT, load
from tables import Table
from targets import verdicts

FOLDER = Path(__file__).resolve().parent
LIMITS_S = {"emulation": 60, "vector": 620, "per_call": 20, "busy": 200}  # 15 minutes
QUICK_LIMIT_S = 600  # for each: --quick only checks that it works, on any machine
OPTIONS = {"emulation": (), "vector": ("--table-s", "34"), "per_call": (), "busy": ()}
QUICK = {
    "emulation": ("--rounds", "1"),
    "vector": (
        *("--only", "cartpole-2", "agents-16-8"),
        *("--rounds", "1", "--seconds", "0.05"),
    ),
    "per_call": ("--rounds", "1"),
    "busy": ("--only", "cartpole", "--workers", "2", "--rounds", "1", "--seconds", "0.05"),
}


def main() -> None:
    """Run the scripts, and print which targets were met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="only check that it works, in seconds")
    parser.add_argument(
        "--record", type=Path, default=ROOT / "build" / "benchmarks.json", metavar="FILE"
    )
    arguments = parser.parse_args()
    arguments.record.unlink(missing_ok=True)
    limits_s = dict.fromkeys(LIMITS_S, QUICK_LIMIT_S) if arguments.quick else LIMITS_S
    options = QUICK if arguments.quick else OPTIONS
    failed = [
        name
        for name, limit_s in limits_s.items()
        if not run(name, arguments.record, limit_s, options[name])
    ]
    for measured in load(arguments.record)["tables"]:
        table = Table(measured["name"], measured["title"], measured["rows"])
        for verdict in verdicts(measured["section"], table):
            print(f"{table.title}: {verdict}")
    print(f"\nRecord: {arguments.record}")
    if failed:
        raise SystemExit(f"Failed, or not done in time: {', '.join(failed)}")


def run(name: str, record: Path, limit_s: float, options: tuple[str, ...]) -> bool:
    """Run a script; return whether it succeeded within its time."""
    script = [sys.executable, str(FOLDER / f"{name}.py"), "--record", str(record), *options]
    process = subprocess.Popen(script, start_new_session=True)
    try:
        return process.wait(limit_s) == 0
    except subprocess.TimeoutExpired:
        print(f"{name}.py was stopped after {limit_s:.0f} s", file=sys.stderr)
        return False
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)  # the processes of contenders, too
            process.wait()


if __name__ == "__main__":
    main()
