"""Generate notebooks from the scripts in examples/ that have cell markers; `make notebooks`.

    python tools/make_notebooks.py [--check]

A line `# %%` begins a cell of code, `# %% [markdown]` one of text in comments, as in Jupytext's
percent format. With --check nothing is written; exits with 1 if a notebook is out of date.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
MARKER = "# %%"
TEXT_MARKER = "# %% [markdown]"


def notebook_of(script: str) -> str:
    """Return the notebook of a script, as JSON in nbformat 4.5."""
    notebook = {
        "cells": [cell | {"id": f"cell-{number}"} for number, cell in enumerate(cells(script))],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(notebook, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def cells(script: str) -> Iterator[dict[str, Any]]:
    """Yield the cells of a script.

    Raises:
        ValueError: there is a line before the first marker, or a line of text is no comment.
    """
    lines: list[str] = []
    marker = None
    for number, line in enumerate([*script.splitlines(), MARKER], start=1):
        if line in (MARKER, TEXT_MARKER):
            if marker is not None:
                yield _cell(marker, "\n".join(lines).strip("\n"))
            marker, lines = line, []
        elif marker is None:
            raise ValueError(f"Line {number} must be {MARKER!r} or {TEXT_MARKER!r}; got {line!r}.")
        elif marker == TEXT_MARKER and line:
            if line != "#" and not line.startswith("# "):
                raise ValueError(f"Line {number} is text and must begin with '# '; got {line!r}.")
            lines.append(line[2:])
        else:
            lines.append(line)


def _cell(marker: str, text: str) -> dict[str, Any]:
    source = text.splitlines(keepends=True)
    if marker == TEXT_MARKER:
        return {"cell_type": "markdown", "metadata": {}, "source": source}
    return {
        "cell_type": "code",
        "execution_count": None,
        "metadata": {},
        "outputs": [],
        "source": source,
    }


def main() -> int:
    """Write the notebooks, or check them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="exit with 1 if one is out of date")
    is_check, is_outdated = parser.parse_args().check, False
    for path in sorted(EXAMPLES.glob("*.py")):
        script, target = path.read_text(), path.with_suffix(".ipynb")
        if not script.startswith(MARKER):
            continue
        if not is_check:
            target.write_text(notebook_of(script))
        elif not target.exists() or target.read_text() != notebook_of(script):
            is_outdated = True
            print(f"{target.name} is out of date: run make notebooks.")
    return int(is_outdated)


if __name__ == "__main__":
    sys.exit(main())
