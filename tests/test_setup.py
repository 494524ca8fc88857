"""The package builds with a compiler and without."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TWINS = {"emulation/_compiled", "vector/_gate"}


@pytest.mark.parametrize(
    ("environ", "due"),
    [
        ({"CC": "false"}, set()),
        ({"PUFFERLIB_NO_EXTENSIONS": "1"}, set()),
        ({"CFLAGS": "-O0"}, TWINS),  # which a compiler is quicker with
    ],
    ids=["no compiler", "not wanted", "compiler"],
)
def test_what_is_compiled_is_left_out_where_it_cannot_be(environ, due, tmp_path):
    pytest.importorskip("Cython")
    if due and shutil.which("gcc") is None:
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
        timeout=110,
    )
    found = {
        str(path.relative_to(built / "pufferlib")).partition(".")[0] for path in built.rglob("*.so")
    }
    assert found == due
