"""Write docs/environments.md: what each registry module says of itself, and its picture.

puffer envs --gallery docs/images/environments      # the pictures, of what is installed
python tools/docs/environments_page.py              # the page
"""

import re
from pathlib import Path

from pufferlib import registry

DOCS = Path(__file__).parent.parent.parent / "docs"
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

Anything that makes an environment can be named in place of a family or task, on the command line
and in `registry.resolve(name)`, whose `creator()` the vectorizers take:

| name | means |
|---|---|
| `my_package.envs:make_env` | a class or function of a module, also one in the current directory |
| `./my_env.py:MyEnv` | a class or function of a file |
| `gymnasium:CartPole-v1`, `gymnasium:my_package:MyEnv-v0` | what `gymnasium.make` takes |
| `pettingzoo:sisl.pursuit_v5`, `pettingzoo:mpe2.simple_v3` | a module of such environments |

It may return a plain Gymnasium environment, a PettingZoo parallel or AEC one, one that is emulated
already, or a `PufferEnv`: emulation and episode statistics are added where they are missing, and
agents with different spaces get `EqualSpaceTeams`. Its keyword arguments are
`--env.kwargs.KEY VALUE`.

```python
from pufferlib import registry, vector

source = registry.resolve("gymnasium:CartPole-v1")
vecenv = vector.make(source.creator(), num_envs=2, backend="Serial")
policy = source.default_policy()(vecenv, hidden_size=64)
```

Other distributions can register families, which then appear in `puffer envs` like ours; see
"A family in a separate package" in [CONTRIBUTING.md](../CONTRIBUTING.md).

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
  need Blizzard's StarCraft II, a separate download. Install the game, and wrap `StarCraft2Env` as
  a PettingZoo environment. SMAX, in [JaxMARL](https://github.com/FLAIROx/JaxMARL), plays such
  battles without the game; its package asks for an older gymnasium than ours, so it needs a
  separate venv.

Once installed, each can be named as `module:function`, or be a family of a package, see above.
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
    path = f"{PICTURES}/{family.name}.png"
    picture = f'[<img src="{path}" width="200" alt="{family.samples[0]}">]({path})'
    return f"| {picture} | {link} | {what} | {len(family.tasks):,} | {terms} |"


if __name__ == "__main__":
    PAGE.write_text(page())
