"""The package builds with a compiler and without."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TWINS = {"emulation/_compiled", "registry/_nethack_batch", "vector/processes/_gate"}


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        pytest.param({"CC": "false"}, set(), id="no compiler"),
        pytest.param({"PUFFERLIB_NO_EXTENSIONS": "1"}, set(), id="not wanted"),
        # A compiler is quicker with this flag.
        pytest.param({"CFLAGS": "-O0"}, TWINS, id="compiler", marks=pytest.mark.long),
    ],
)
def test_extensions_are_skipped_if_they_cannot_be_compiled(environ, expected, tmp_path):
    pytest.importorskip("Cython")
    if expected and shutil.which("gcc") is None:
        pytest.skip("there is no compiler here")
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(
        ROOT / "pufferlib", tmp_path / "pufferlib", ignore=shutil.ignore_patterns("*.so")
    )
    built = tmp_path / "built"
    subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext", "--build-lib", str(built)],
        cwd=tmp_path,
        env={**os.environ, "PUFFERLIB_NO_EXTENSIONS": "", **environ},
        check=True,
        capture_output=True,
        timeout=240,
    )
    found = {
        str(path.relative_to(built / "pufferlib")).partition(".")[0] for path in built.rglob("*.so")
    }
    assert found == expected
