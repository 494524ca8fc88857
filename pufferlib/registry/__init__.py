"""A ready `make_env` and `Policy` for each environment family.

    import pufferlib.registry.nethack as nethack
    env = nethack.make_env("NetHackScore-v0")
    policy = nethack.Policy(env)

Each module is one family and has `FAMILY`, `make_env(name, ...)`, `env_creator(name)` and
`Policy(env)`. Importing one imports neither torch nor the environment.
"""

import importlib
import pkgutil
from types import ModuleType

from pufferlib.exceptions import UnknownNameError, suggestion
from pufferlib.registry._family import Family

__all__ = ["Family", "families", "load", "resolve", "tasks"]


def families() -> list[str]:
    """Return the names of all families, sorted."""
    found = (module.name for module in pkgutil.iter_modules(__path__))
    return sorted(name for name in found if not name.startswith("_"))


def load(name: str) -> ModuleType:
    """Return the registry module of the family `name`.

    Raises:
        UnknownNameError: suggests the nearest names.
    """
    if name not in families():
        raise UnknownNameError(
            f"There is no environment family {name!r}.{suggestion(name, families())} "
            f"Families: {', '.join(families())}."
        )
    return importlib.import_module(f"{__name__}.{name}")


def tasks() -> dict[str, str]:
    """Return the family of every task, by the task's name."""
    return {task: family for family in families() for task in load(family).FAMILY.tasks}


def resolve(name: str) -> tuple[ModuleType, str]:
    """Return the registry module and the task meant by the name of a family or of a task.

    Raises:
        UnknownNameError: suggests the nearest names.
    """
    if name in families():
        return load(name), load(name).FAMILY.default
    family_of = tasks()
    if name in family_of:
        return load(family_of[name]), name
    raise UnknownNameError(
        f"There is no environment {name!r}.{suggestion(name, [*families(), *family_of])} "
        f"Families: {', '.join(families())}. List tasks with: puffer envs FAMILY"
    )
