"""Write docs/reference/settings.md: every setting, from the dataclasses that define them.

python tools/docs/settings_page.py
"""

import dataclasses
import textwrap
from pathlib import Path
from typing import Any

from pufferlib.cli.parser import field_docs
from pufferlib.config import ALGORITHMS, Config
from pufferlib.config.presets import type_name
from pufferlib.runs.settings import find_setting
from pufferlib.sweep.config import AllSettings

PAGE = Path(__file__).parent.parent.parent / "docs" / "reference" / "settings.md"

HEAD = """# Settings

Each setting of a run is a flag of `puffer train`, a key of a
[preset](../training.md#presets), and a key of `Run.configure(env, overrides)`:

    puffer train CartPole-v1 --train.learning-rate 1e-3 --vec.num-envs 16

```python
from pufferlib.runs import Run

run = Run.configure("CartPole-v1", {"train.learning_rate": 1e-3, "vec.num_envs": 16})
```

The defaults below are for environments without a preset; `puffer train ENV --help` shows those of
an environment. The settings `sweep` are of [`puffer sweep`](../sweeps.md) and
`Sweep.configure(env, overrides)`, which take those of a run, too.
"""


def page() -> str:
    """Return the text of the page."""
    config = Config()
    parts = [HEAD, _section("run", config, ["algorithm", "run"])]
    for field in dataclasses.fields(config):
        settings = getattr(config, field.name)
        if dataclasses.is_dataclass(settings) and field.name != "train":
            parts.append(_table(field.name, config))
    known: set[str] = set()
    for name, kind in ALGORITHMS.items():
        names = [f"train.{field.name}" for field in dataclasses.fields(kind)]
        own = Config(algorithm=name, train=kind())
        parts.append(_section(f"train, of {name}", own, [n for n in names if n not in known]))
        known.update(names)
    parts.append(_table("sweep", AllSettings()))
    return "\n".join(parts)


def _table(table: str, config: Config) -> str:
    names = [f"{table}.{field.name}" for field in dataclasses.fields(getattr(config, table))]
    return _section(table, config, [name for name in names if name != "env.task"])


def _section(title: str, config: Config, names: list[str]) -> str:
    return "\n".join([f"## {title}\n", *(_setting(name, config) for name in names), ""])


def _setting(name: str, config: Config) -> str:
    setting = find_setting(name, config)
    flag = f"--{name.replace('_', '-')}" + (".KEY" if name.endswith(".kwargs") else "")
    text = " ".join(field_docs(setting.owner).get(name.rpartition(".")[2], "").split()).replace(
        "<", "\\<"
    )
    default: Any = setting.value
    kind = type_name(setting.annotation).replace("|", "or")
    line = f"- **`{flag}`** ({kind}; default `{default}`). {text}"
    return textwrap.fill(line, 100, subsequent_indent="  ", break_on_hyphens=False)


if __name__ == "__main__":
    PAGE.write_text(page())
