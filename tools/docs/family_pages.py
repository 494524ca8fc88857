"""Pages of the site, one for each family of environments, from the registry."""

import re
from pathlib import Path
from types import ModuleType

import family_spaces
from trained_pages import picture, section

from pufferlib import registry
from pufferlib.config import PRESETS
from pufferlib.config.presets import preset_file

_LABELS = ("Source", "License", "Cite", "Install")
_SPACES = ("Observations", "Actions", "Agents")
_STARTS = r"\b(Source|License|Cite|Install|Observations|Actions|Agents): "
# The first words of what a docstring says after its labels.
_NOTES = r"(?m)^(?=Deterministic|Not deterministic|Left out|$)"
_BENCHMARKS = Path(__file__).parents[2] / "docs" / "benchmarks.md"
_SHOWN = 12  # tasks in the table; the others are in a list to open


def pages() -> dict[str, str]:
    """Return the text of each page, by the name of the family."""
    return {name: page(registry.load(name)) for name in registry.builtin_families()}


def page(module: ModuleType) -> str:
    """Return the text of a family's page."""
    family = module.FAMILY
    title, _, rest = (module.__doc__ or "").partition("\n\n")
    labels, notes = _parsed(rest)
    what = " ".join(title.split())
    facts = [f"| {label} | {_cell(labels[label])} |" for label in _LABELS if label in labels]
    example = family.samples[0]
    return f"""# {family.name}

{what}

{picture(family.name, example)}

|  |  |
|---|---|
{chr(10).join(facts)}

{notes}

## Commands

    make install ENV={family.name}
    puffer test {example}
    puffer train {example}
    puffer eval {example}
    puffer eval {example} --video film.mp4

`test` says whether the environment works here, `train` trains with the preset, and `eval` compares
the latest run with a random policy. [Commands](../commands.md) builds the command for any task.

```python
from pufferlib import registry, vector

source = registry.resolve("{example}")
envs = vector.make(source.creator(), num_envs={1 if family.is_one_per_process else 8})
policy = source.default_policy()(envs)
```

## Spaces

{_spaces(family.name, labels)}

{_speed(family.name, example)}## Presets

{_presets(module)}

{section(family.name)}## Tasks

{_tasks(family.tasks, family.unseeded_tasks)}
"""


def _parsed(text: str) -> tuple[dict[str, str], str]:
    """Return what stands after each label of a docstring, and what follows the labels."""
    head, *notes = re.split(_NOTES, text, maxsplit=1)
    parts = re.split(_STARTS, head)[1:]
    labels = {k: v.strip() for k, v in zip(parts[::2], parts[1::2], strict=True)}
    return labels, "".join(notes).strip()


def _cell(text: str) -> str:
    linked = re.sub(r"(https?://\S+?)([.,;)]?(?=\s|$))", r"<\1>\2", " ".join(text.split()))
    article = r"[arXiv:\1](https://arxiv.org/abs/\1)"
    return re.sub(r"arXiv:(\d{4}\.\d{4,5})", article, linked).replace("|", "\\|")


def _spaces(name: str, labels: dict[str, str]) -> str:
    """Return the tables of spaces, and below them what the docstring says of all tasks."""
    said = "\n\n".join(f"{label}: {_cell(labels[label])}" for label in _SPACES if label in labels)
    return (
        f"{family_spaces.section(name)}\n\n"
        f":::{{dropdown}} Other tasks, and what the values mean\n{said}\n:::"
    )


def _presets(module: ModuleType) -> str:
    family = module.FAMILY
    names = [n for n in (family.name, *family.tasks) if preset_file(n, PRESETS).exists()]
    names = [preset_file(name, PRESETS).stem for name in names]
    if not names:
        return "There is no preset: the defaults apply."
    files = "\n".join(
        f":::{{dropdown}} {name}.toml\n```{{literalinclude}} ../../pufferlib/config/{name}.toml\n"
        f":language: toml\n```\n:::"
        for name in names
    )
    return f"Settings that `puffer train` takes here by default:\n\n{files}"


def _speed(name: str, example: str) -> str:
    """Return the family's row of the table of all speeds; nothing if it has none."""
    _, _, table = _BENCHMARKS.read_text().partition("<!-- bench all: begin -->")
    rows = [line for line in table.partition("<!--")[0].splitlines() if line.startswith("|")]
    row = [line for line in rows if line.startswith(f"| {name} |")]
    if not row:
        return ""
    head, values = ([cell.strip() for cell in line.split("|")[2:-1]] for line in (rows[0], row[0]))
    measured = [(title, value) for title, value in zip(head, values, strict=True) if value]
    cells = "\n".join(f"| {title} | {value} |" for title, value in measured)
    return f"""## Speed

Agent steps per second of eight `{example}` with random actions on two cores, in parentheses the
median ratio to the row that has 1.00 ([how it was measured](../benchmarks.md#every-environment)):

| | steps/s |
|---|---|
{cells}

"""


def _tasks(tasks: tuple[str, ...], unseeded: tuple[str, ...]) -> str:
    marked = [f"- `{task}`" + (" (not seeded)" if task in unseeded else "") for task in tasks]
    if len(marked) <= _SHOWN:
        return "\n".join(marked)
    shown, others = "\n".join(marked[:_SHOWN]), "\n".join(marked[_SHOWN:])
    return f"{shown}\n\n:::{{dropdown}} {len(marked) - _SHOWN:,} more\n{others}\n:::"
