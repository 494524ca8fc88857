"""Write docs/environments.md: what each registry module says of itself, and its picture.

puffer envs --gallery docs/images/environments      # the pictures, of what is installed
python docs/environments.py                         # the page
"""

import re
from pathlib import Path

from pufferlib import registry

DOCS = Path(__file__).parent
PAGE = DOCS / "environments.md"
PICTURES = "images/environments"

HEAD = """# Environments

{count} families with {tasks:,} tasks, all installed together in one environment: `make install
ENV=all`, or one of them with `make install ENV=nethack`. Each has `make_env(name, ...)`,
`env_creator(name)` and `Policy`:

```python
import pufferlib.registry.classic_control as classic_control

env = classic_control.make_env("Acrobot-v1")
policy = classic_control.Policy(env)
```

`puffer envs FAMILY` prints spaces, agents, citation and every task; `make test-env ENV=FAMILY`
finds out whether it works here, `ENV=all` whether all do. Pictures are of games played at random.

"""

TAIL = """
## Not among them

These cannot be installed from a package index, so no extra can bring them:

- **[DeepMind Lab](https://github.com/google-deepmind/lab)** is built with Bazel from its
  repository. Build its wheel; it speaks dm_env, which `pufferlib/registry/_dm_env.py` adapts.
- **[MineRL](https://github.com/minerllabs/minerl)** builds Minecraft from downloads as it is
  installed, and asks for Java 8. Install it by its own instructions, and wrap what it makes as a
  Gymnasium environment. `crafter` is a small world of the kind that is here.
- **[SMAC](https://github.com/oxwhirl/smac)** and **[SMACv2](https://github.com/oxwhirl/smacv2)**
  need Blizzard's StarCraft II, a download of its own. Install the game, and wrap `StarCraft2Env` as
  a PettingZoo environment. SMAX, in [JaxMARL](https://github.com/FLAIROx/JaxMARL), plays such
  battles without the game; its package asks for an older gymnasium than ours, so it needs a venv of
  its own.

A module for one of these is a file in `pufferlib/registry/`, see CONTRIBUTING.md.
"""


def page() -> str:
    """Return the text of docs/environments.md."""
    families = [registry.load(name) for name in registry.families()]
    tasks = sum(len(module.FAMILY.tasks) for module in families)
    head = HEAD.format(count=len(families), tasks=tasks)
    rows = ["| | family | what | tasks | licence |", "|---|---|---|---|---|"]
    rows += [row(module) for module in families]
    return head + "\n".join(rows) + "\n" + TAIL


def row(module) -> str:
    """Return a family's row of the table."""
    family = module.FAMILY
    what = " ".join(module.__doc__.partition("\n\n")[0].split()).rstrip(".").replace("|", "\\|")
    text = " ".join(module.__doc__.split())
    source = re.search(r"Source: (.*?) Licence:", text)[1]
    licence = re.search(r"Licence: (.*?) (?:Cite|Install):", text)[1].replace("|", "\\|")
    link = f"[`{family.name}`]({source})" if source.startswith("http") else f"`{family.name}`"
    path = f"{PICTURES}/{family.name}.png"
    picture = f'[<img src="{path}" width="200" alt="{family.samples[0]}">]({path})'
    return f"| {picture} | {link} | {what} | {len(family.tasks):,} | {licence} |"


if __name__ == "__main__":
    PAGE.write_text(page())
