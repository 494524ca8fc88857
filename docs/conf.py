"""The site: `make docs` builds it, offline, with warnings as errors."""

import itertools
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pufferlib

ROOT = Path(__file__).resolve().parent.parent

project = "pufferlib"
author = "the pufferlib authors"
version = release = pufferlib.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
]
myst_enable_extensions = ["colon_fence", "html_image"]
myst_heading_anchors = 3
suppress_warnings = ["myst.header"]

html_theme = "furo"
html_title = "pufferlib"
html_copy_source = False
html_show_copyright = False  # LICENSE names the holders
html_static_path = ["_static"]
html_favicon = "_static/favicon.svg"
html_css_files = ["site.css"]

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings give shapes and dtypes
autodoc_preserve_defaults = True
default_role = "code"
nitpick_ignore_regex = [("py:.*", ".*")]  # types of other libraries, whose pages are not at hand
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_use_ivar = True
napoleon_custom_sections = [("Returned values", "params_style")]

# Pages outside of docs/ that the site holds, by their path in the repository.
PAGES = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}

# Pages below others in the sidebar. GitHub would show the directive as code, so it is added here.
CHILDREN = {"environments": "families/*", "records": "records/*"}


def link_files(app: Any, name: str, source: list[str]) -> None:
    """Make links to files outside of docs/ lead to pages of the site, or to downloads.

    Lists the pages below `environments` and `records`, too.
    """
    folder = (ROOT / "docs" / name).parent

    def link(match: re.Match[str]) -> str:
        text, path = match.groups()
        target = (folder / path.partition("#")[0]).resolve()
        if target.is_relative_to(ROOT / "docs"):
            return match[0]
        path = target.relative_to(ROOT).as_posix()
        if path in PAGES:
            return f"[{text}](/{PAGES[path]})"
        if target.is_file():
            return f"{{download}}`{text.strip('`')} </../{path}>`"
        return text

    if name == "environments":
        source[0] = re.sub(r"\[`(\w+)`\]\(https?://[^)]*\)", r"[`\1`](families/\1.md)", source[0])
    source[0] = re.sub(r"\[([^\]]*)\]\((\.\./[^)]*)\)", link, source[0])
    if name in CHILDREN:
        source[0] += f"\n```{{toctree}}\n:hidden:\n:glob:\n\n{CHILDREN[name]}\n```\n"


def from_markdown(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Write the Markdown of a docstring as reStructuredText: stars, tables and code."""
    lines[:] = list(_converted([_plain_stars(line) for line in lines]))
    for number, (line, following) in enumerate(itertools.pairwise(lines)):
        if line.strip() == "Returns:" and re.match(r" +[a-z_]+: ", following):  # several
            lines[number] = line.replace("Returns", "Returned values")


def _plain_stars(line: str) -> str:
    """Let a star, as of `*shape`, be a star: outside of code it would be emphasis."""
    parts = re.split("(`[^`]*`)", line)
    return "".join(part if part.startswith("`") else part.replace("*", r"\*") for part in parts)


def _converted(lines: list[str]) -> Iterator[str]:
    """Yield the lines, with directives for tables and for indented paragraphs, which are code."""
    above, is_table = "", False  # the last line that is not blank
    for number, line in enumerate(lines):
        is_first = not lines[number - 1].strip() if number else True
        if line.startswith("|"):
            if not is_table:
                yield from (".. list-table::", "   :header-rows: 1", "")
            cells = [cell.strip() for cell in line.strip("|").split(" | ")]
            if set(line) - set("|-"):
                yield f"   * - {cells[0]}"
                yield from (f"     - {cell}" for cell in cells[1:])
        else:
            is_deeper = _indent(line) - _indent(above) >= 4
            is_text = above.endswith("::") or re.fullmatch(r" *(Args|[A-Z]\w+s):", above)
            if line.strip() and is_first and is_deeper and above and not is_text:
                language = "python" if line.isascii() and "└" not in "".join(lines) else "text"
                yield from (f"{' ' * _indent(above)}.. code-block:: {language}", "")
            yield line
        is_table = line.startswith("|")
        above = line if line.strip() else above


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def setup(app: Any) -> None:
    """Register what writes pages, and what changes them as they are read."""
    sys.path.insert(0, str(ROOT / "tools" / "docs"))
    from write import write_pages

    app.connect("builder-inited", lambda app: write_pages(ROOT / "docs"))
    app.connect("source-read", link_files)
    app.connect("autodoc-process-docstring", from_markdown, priority=100)  # before napoleon
