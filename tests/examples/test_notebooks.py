"""Each notebook is that of its script, and runs from the first cell to the last."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
NOTEBOOKS = sorted(path.stem for path in EXAMPLES.glob("*.ipynb"))

# Executes a notebook as Jupyter does, and prints what its cells print.
EXECUTE = """
import sys
import nbclient, nbformat
notebook = nbformat.read(sys.argv[1], as_version=4)
nbclient.NotebookClient(notebook, timeout=200, kernel_name="python3").execute()
for cell in notebook.cells:
    for output in cell.get("outputs", []):
        print(output.get("text", ""), end="")
"""


def load_tool():
    path = ROOT / "tools" / "make_notebooks.py"
    spec = importlib.util.spec_from_file_location("make_notebooks", path)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    return tool


def test_every_script_of_cells_has_its_notebook():
    scripts = [path for path in EXAMPLES.glob("*.py") if path.read_text().startswith("# %%")]
    assert sorted(path.stem for path in scripts) == NOTEBOOKS


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_the_notebook_is_generated_from_the_script(name):
    script = (EXAMPLES / f"{name}.py").read_text()
    notebook = (EXAMPLES / f"{name}.ipynb").read_text()
    assert notebook == load_tool().notebook_of(script), "make notebooks"


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_is_valid_and_keeps_every_line_of_code(name):
    nbformat = pytest.importorskip("nbformat")
    script = (EXAMPLES / f"{name}.py").read_text()
    notebook = nbformat.read(EXAMPLES / f"{name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    lines = [line for line in "\n".join(code).splitlines() if line]
    blocks = re.split(r"^# %%.*\n", script, flags=re.MULTILINE)
    kept = [line for line in "".join(blocks).splitlines() if line and line in lines]
    assert lines == kept
    assert "pip" in code[0]


def test_cells_are_split_at_their_markers():
    script = "# %% [markdown]\n# # Title\n#\n# Text\n\n# %%\nx = 1\n\n\n# %%\nprint(x)\n"
    cells = json.loads(load_tool().notebook_of(script))["cells"]
    assert [(cell["cell_type"], "".join(cell["source"])) for cell in cells] == [
        ("markdown", "# Title\n\nText"),
        ("code", "x = 1"),
        ("code", "print(x)"),
    ]


@pytest.mark.parametrize(
    ("script", "message"),
    [("x = 1\n# %%\n", "Line 1 must be"), ("# %% [markdown]\ntext\n", "Line 2 is text")],
)
def test_a_line_that_fits_no_cell_is_an_error(script, message):
    with pytest.raises(ValueError, match=message):
        load_tool().notebook_of(script)


def run_notebook(path, folder, no_extensions):
    """Return what the cells print."""
    result = subprocess.run(
        [sys.executable, "-c", EXECUTE, str(path)],
        env={**os.environ, "PUFFERLIB_NO_EXTENSIONS": no_extensions},
        capture_output=True,
        text=True,
        timeout=240,
        cwd=folder,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.long
@pytest.mark.parametrize("no_extensions", ["", "1"], ids=["compiled", "plain"])
def test_every_cell_runs_and_the_policy_learns(no_extensions, tmp_path):
    pytest.importorskip("nbclient")
    printed = run_notebook(EXAMPLES / "quickstart.ipynb", tmp_path, no_extensions)
    means = dict(re.findall(r"^(trained|random): +(\S+)", printed, re.MULTILINE))
    assert float(means["random"]) < 0  # most walks end at the wrong side or run out of time
    assert 0.8 < float(means["trained"]) <= 0.84


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "timesteps", "expected"),
    [
        ("your_own_environment", 2_000, ["is_deterministic", r"^sampled +\S+ +\[", r"^o|^\.\.o"]),
        ("self_play", 8_000, [r"^against perfect +won 0, ", r"^x"]),
    ],
)
def test_every_cell_runs_without_a_compiler(name, timesteps, expected, tmp_path):
    """With a training of a moment: what the cells print, not how much is learned."""
    pytest.importorskip("nbclient")
    pytest.importorskip("pyspiel")
    text = (EXAMPLES / f"{name}.ipynb").read_text()
    shorter, count = re.subn(r"TIMESTEPS = [\d_]+", f"TIMESTEPS = {timesteps}", text)
    assert count == 1
    (tmp_path / "notebook.ipynb").write_text(shorter)
    printed = run_notebook(tmp_path / "notebook.ipynb", tmp_path, "1")
    for pattern in expected:
        assert re.search(pattern, printed, re.MULTILINE), printed
