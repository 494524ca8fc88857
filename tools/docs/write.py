"""Write the pages of the site that git ignores: families, and the data of the commands.

`docs/conf.py` calls `write_pages` before each build. It does not write the page of settings, which
is kept in git so that it can be read without the site: see `settings_page`.
"""

import json
from pathlib import Path

import family_pages

from pufferlib import registry


def write_pages(docs: Path) -> None:
    """Write the generated pages into the folder `docs`, those that changed."""
    pages = family_pages.pages()
    for name, text in pages.items():
        _write(docs / "families" / f"{name}.md", text)
    for path in (docs / "families").glob("*.md"):
        if path.stem not in pages:
            path.unlink()
    families = [registry.load(name).FAMILY for name in pages]
    tasks = {f.name: list(dict.fromkeys([f.default, *f.tasks])) for f in families}
    _write(docs / "_static" / "tasks.js", f"const TASKS = {json.dumps(tasks)};\n")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    if not path.exists() or path.read_text() != text:  # else Sphinx would read it again
        path.write_text(text)
