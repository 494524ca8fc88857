"""Write docs/environments.md: what each registry module says of itself, and its picture.

puffer envs --gallery docs/images/environments      # the pictures, of what is installed
python tools/docs/environments_page.py              # the page
"""

import re
from pathlib import Path

from trained_pages import still

from pufferlib import registry

PAGE = Path(__file__).parents[2] / "docs" / "environments.md"

HEAD = """# Environments

{count} families with {tasks:,} tasks are ready to use. Install a family, and train on one of its
tasks:

    make install ENV=minigrid                # or puffer install minigrid; ENV=all for every family
    puffer train MiniGrid-DoorKey-5x5-v0
    puffer envs minigrid                     # its spaces, agents, citation and every task

All of them can be installed together in one Python environment. `make test-env ENV=minigrid` finds
out whether a family works on your machine, `ENV=all` whether all do.

In Python each family is a module with `make_env(name, ...)`, `env_creator(name)` and `Policy`:

```python
import pufferlib.registry.classic_control as classic_control

env = classic_control.make_env("Acrobot-v1")
policy = classic_control.Policy(env)
```

`registry.resolve(name)` takes a family, a task, or
[any other name](your-own-environment.md#name-it) of an environment. Its `creator()` is for the
vectorizers:

```python
from pufferlib import registry, vector

source = registry.resolve("gymnasium:CartPole-v1")
vecenv = vector.make(source.creator(), num_envs=2, backend="Serial")
policy = source.default_policy()(vecenv, hidden_size=64)
```

Other packages can add families, which then appear in `puffer envs` like these; see "A family in a
separate package" in [CONTRIBUTING.md](../CONTRIBUTING.md).

## Families

The pictures show trained agents, or, where they say so, games played at random. The site (`make
docs-serve`) has a page for each family, with the film of its agent and the command that trained it.

"""

TAIL = """
## Not included

These cannot be installed from a package index. Install them by their own instructions:

- **[DeepMind Lab](https://github.com/google-deepmind/lab)** is built with Bazel from its
  repository. Build its wheel. Its interface is dm_env, which `pufferlib/registry/_dm_env.py`
  adapts.
- **[MineRL](https://github.com/minerllabs/minerl)** builds Minecraft from downloads as it is
  installed, and requires Java 8. Wrap its environments as Gymnasium environments. `crafter` is a
  small world of the same kind, and is included.
- **[SMAC](https://github.com/oxwhirl/smac)** and **[SMACv2](https://github.com/oxwhirl/smacv2)**
  need Blizzard's StarCraft II, a separate download. Install the game, and wrap `StarCraft2Env` as
  a PettingZoo environment. SMAX, in [JaxMARL](https://github.com/FLAIROx/JaxMARL), plays such
  battles without the game; its package requires an older Gymnasium than ours, so it needs a
  separate virtual environment.

Once installed, each can be [named](your-own-environment.md#name-it) as `module:function`.
"""


def page() -> str:
    """Return the text of docs/environments.md."""
    families = [registry.load(name) for name in registry.builtin_families()]
    tasks = sum(len(module.FAMILY.tasks) for module in families)
    head = HEAD.format(count=len(families), tasks=tasks)
    rows = ["| | family | what | tasks | license |", "|---|---|---|---|---|"]
    rows += [row(module) for module in families]
    return head + "\n".join(rows) + "\n" + TAIL


def row(module) -> str:
    """Return a family's row of the table."""
    family = module.FAMILY
    what = " ".join(module.__doc__.partition("\n\n")[0].split()).rstrip(".").replace("|", "\\|")
    text = " ".join(module.__doc__.split())
    source = re.search(r"Source: (.*?) License:", text)[1]
    terms = re.search(r"License: (.*?) (?:Cite|Install):", text)[1].replace("|", "\\|")
    link = f"[`{family.name}`]({source})" if source.startswith("http") else f"`{family.name}`"
    path, task, note = still(family.name, family.samples[0])
    picture = f'[<img src="{path}" width="200" alt="{task}">]({path}){note}'
    return f"| {picture} | {link} | {what} | {len(family.tasks):,} | {terms} |"


if __name__ == "__main__":
    PAGE.write_text(page())
