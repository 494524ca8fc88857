"""Write the table of docs/install.md: which families install from wheels, by Python version.

    python tools/wheels.py      asks the package index for each package, in about four minutes

A family's own requirements are looked up at the versions of constraints.txt, for this machine's
platform, by `pip install --dry-run --only-binary=:all:`. What they require in turn is not.
"""

import functools
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pufferlib import registry
from pufferlib.installation import AS_IT_IS, distribution_name, plan

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "install.md"
BEGIN, END = "<!-- wheels: begin -->", "<!-- wheels: end -->"
VERSIONS = ("3.11", "3.12", "3.13")
# What pip prints where no version has a wheel, and where the one of constraints.txt has none.
_MISSING = ("No matching distribution found", "ResolutionImpossible")


def missing_wheels(family: str, python: str) -> list[str]:
    """Return the packages of a family that have no wheel for a version of Python."""
    return [
        distribution_name(requirement)
        for call in plan([family])
        for requirement in call
        if requirement not in AS_IT_IS
        and not has_wheel(requirement, python, "--ignore-requires-python" in call)
    ]


@functools.cache
def has_wheel(requirement: str, python: str, is_as_it_is: bool) -> bool:
    """Ask the package index for a wheel, at the version of constraints.txt.

    Raises:
        RuntimeError: pip fails for another reason than a missing wheel.
    """
    with tempfile.TemporaryDirectory() as folder:
        options = ["--dry-run", "--no-deps", "--only-binary=:all:", "--python-version", python]
        options += ["--constraint", str(ROOT / "constraints.txt"), "--target", folder]
        options += ["--ignore-requires-python"] if is_as_it_is else []
        command = [sys.executable, "-m", "pip", "install", "--quiet", *options, requirement]
        asked = subprocess.run(command, capture_output=True, text=True, check=False)
    if asked.returncode and not any(words in asked.stderr for words in _MISSING):
        raise RuntimeError(f"pip failed for {requirement} on Python {python}: {asked.stderr}")
    return asked.returncode == 0


def table(missing: Mapping[str, Mapping[str, Sequence[str]]]) -> str:
    """Return the table: a row for all families whose cells are equal.

    A package that has a wheel for no version is a source package, which pip builds.

    Args:
        missing: by family and version of Python, the packages without a wheel.
    """
    rows: dict[tuple[str, ...], list[str]] = {}
    for family, by_version in missing.items():
        sources = set.intersection(*map(set, by_version.values()))
        cells = [_listed(sources)]
        for without in by_version.values():
            names = _listed(set(without) - sources)
            cells.append(f"no wheel of {names}" if names else "yes")
        rows.setdefault(tuple(cells), []).append(family)
    versions = next(iter(missing.values()))
    lines = [f"| families | built from source | {' | '.join(versions)} |"]
    lines.append("|---" * (2 + len(versions)) + "|")
    for cells, families in sorted(rows.items(), key=lambda row: (-len(row[1]), row[1])):
        lines.append(f"| {_listed(families)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))


def main() -> None:
    """Look the packages up, and replace the table."""
    missing = {
        family: {python: missing_wheels(family, python) for python in VERSIONS}
        for family in registry.builtin_families()
    }
    head, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, tail = rest.partition(END)
    PAGE.write_text(f"{head}{BEGIN}\n{table(missing)}\n{END}{tail}")


if __name__ == "__main__":
    main()
