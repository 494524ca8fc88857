"""Run the tests that are skipped where there is no GPU: a step of benchmarks/gpu.sh.

    python benchmarks/gpu_tests.py [--device cuda]

They have "cuda" in their names or parameters. On a GPU it fails if one of them is skipped.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from xml.etree import ElementTree

import record
from record import ROOT
from tables import Table

SKIPPED = re.compile("needs a GPU|there is no GPU")  # why the tests of a file are skipped


def main() -> None:
    """Run the tests, and record how many passed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    record.add_argument(parser)
    arguments = parser.parse_args()
    record.Recorder("gpu-tests", arguments.record).add(tested(arguments.device))


def tested(device: str) -> Table:
    """Run the tests that need a GPU; on one, none may be skipped."""
    files = [
        str(path)
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        if SKIPPED.search(path.read_text())
    ]
    with tempfile.NamedTemporaryFile(suffix=".xml") as report:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "cuda"]
        subprocess.run([*command, f"--junitxml={report.name}", *files], cwd=ROOT)
        suite = ElementTree.parse(report.name).getroot().find("testsuite")
    if suite is None:
        raise SystemExit("pytest has written no report")
    tests, skipped = int(suite.get("tests", 0)), int(suite.get("skipped", 0))
    failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
    if not tests or failed or (skipped and device != "cpu"):
        raise SystemExit(f"{tests} tests that need a GPU: {failed} failed, {skipped} were skipped")
    counts = {"passed": tests - failed - skipped, "failed": failed, "skipped": skipped}
    return Table("tests", "Tests that need a GPU", {"tests": counts})


if __name__ == "__main__":
    main()
