"""Every Python snippet of the README and the docs runs as it stands."""

import ast
import re
import subprocess
import sys

import pytest
from documented_commands import PAGES as DOCUMENTED
from documented_commands import ROOT

from pufferlib import registry
from pufferlib.ppo import algorithm as ppo
from pufferlib.vtrace import algorithm as vtrace

SNIPPET = re.compile(r"```python\n(.*?)```(?:\n\n```text\n(.*?)```)?", re.DOTALL)
SNIPPETS = [
    pytest.param(
        code,
        output,
        id=f"{path.name}-{number}",
        marks=() if (path.name, number) == ("README.md", 1) else pytest.mark.long,  # the quicker
    )
    for path in [ROOT / page for page in DOCUMENTED if page != "CONTRIBUTING.md"]
    for number, (code, output) in enumerate(SNIPPET.findall(path.read_text()))
]


@pytest.mark.parametrize(("code", "output"), SNIPPETS)
def test_a_snippet_runs_and_prints_the_text_below_it(code, output, tmp_path):
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        timeout=240,
        cwd=tmp_path,
    )
    assert result.returncode == 0, result.stderr
    assert not output or result.stdout == output


def test_every_link_between_the_docs_leads_somewhere():
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]:
        for link in re.findall(r"\]\(([^)#:]+)\)", path.read_text()):
            assert (path.parent / link).exists(), f"{path.name}: {link}"


def test_the_pages_about_your_own_environment_and_policy_quote_the_example():
    example = (ROOT / "examples" / "your_own.py").read_text()
    classes = [node for node in ast.parse(example).body if isinstance(node, ast.ClassDef)]
    pages = {"Corridor": "your-own-environment.md", "TwoLayers": "your-own-policy.md"}
    assert [each.name for each in classes] == list(pages)
    for each in classes:
        page = (ROOT / "docs" / pages[each.name]).read_text()
        assert ast.get_source_segment(example, each) in page


def test_the_glossary_has_every_metric():
    page = (ROOT / "docs" / "monitoring.md").read_text()
    sources = "".join(path.read_text() for path in (ROOT / "pufferlib").rglob("*.py"))
    groups = "episode|eval|loss|policy|rollout|selfplay"
    metrics = set(re.findall(rf'"((?:{groups})/\w+)"', sources))
    metrics |= {f"loss/{name}" for loss in (ppo.Loss, vtrace.Loss) for name in loss._fields}
    assert len(metrics) > 30
    assert not {
        name for name in metrics if not re.search(rf"`({name}|{name.split('/')[1]})`", page)
    }


PAGES = ["README.md", "docs/index.md", "docs/install.md", "docs/environments.md"]


@pytest.mark.parametrize("page", [*PAGES, "examples/quickstart.py"])
def test_a_page_has_the_number_of_families(page):
    assert f"{len(registry.builtin_families())} families" in (ROOT / page).read_text()


def test_the_page_of_examples_lists_each():
    page = (ROOT / "docs" / "examples.md").read_text()
    for path in (ROOT / "examples").glob("*.py"):
        assert f"`python examples/{path.name}`" in page


@pytest.mark.parametrize(
    "demo",  # in the order of the README of PufferLib 1.0's demos
    [
        *("demo_emulation", "ppo_minihack", "puffer_ppo_minihack", "puffer_vec_ppo_minihack"),
        *("ppo_atari", "large_ppo_atari", "puffer_ppo_atari", "large_puffer_ppo_atari"),
        *("ppo_atari_envpool", "demo"),
    ],
)
def test_each_demo_of_version_1_has_a_row_with_a_command(demo):
    page = (ROOT / "docs" / "examples.md").read_text()
    (row,) = re.findall(rf"^\| `{demo}\.py`.*$", page, re.MULTILINE)
    assert row.count("|") == 4
