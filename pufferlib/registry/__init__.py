"""Every environment by name: families with a ready `make_env` and `Policy`, and your own.

    import pufferlib.registry.nethack as nethack
    env = nethack.make_env("NetHackScore-v0")
    policy = nethack.Policy(env)

    source = registry.resolve("NetHackScore-v0")     # or a family: "nethack"
    source = registry.resolve("my_package.envs:make_env")
    source = registry.resolve("./my_env.py:MyEnv")
    source = registry.resolve("gymnasium:CartPole-v1")
    source = registry.resolve("pettingzoo:butterfly.pistonball_v6")
    env = source.creator()(size=8)                   # flat, with episode statistics

Each public module is one family and has `FAMILY`, `make_env(name, ...)`, `env_creator(name)` and
`Policy(env)`. Importing one imports neither torch nor the environment. Other distributions add
families by an entry point of the group "pufferlib.families", see CONTRIBUTING.md.
"""

import functools
import importlib
import pkgutil
from types import ModuleType

from pufferlib.exceptions import ArgumentError, UnknownNameError, suggestion
from pufferlib.references import is_reference
from pufferlib.registry import _entry_points, _source
from pufferlib.registry._family import Family
from pufferlib.registry._source import EnvSource, same_source

__all__ = [
    "EnvSource",
    "Family",
    "builtin_families",
    "families",
    "installed_samples",
    "load",
    "missing_families",
    "resolve",
    "same_source",
    "tasks",
]


def builtin_families() -> list[str]:
    """Return the names of the families that are part of pufferlib, sorted."""
    found = (module.name for module in pkgutil.iter_modules(__path__))
    return sorted(name for name in found if not name.startswith("_"))


def families() -> list[str]:
    """Return the names of all families, those of other distributions included, sorted.

    Warns of families of other distributions that cannot be used, once per process.
    """
    return sorted([*builtin_families(), *_third_party().modules])


def load(name: str) -> ModuleType:
    """Return the module of the family `name`.

    Raises:
        UnknownNameError: suggests the nearest names.
    """
    if name in builtin_families():
        return importlib.import_module(f"{__name__}.{name}")
    third_party = _third_party()
    if name in third_party.modules:
        return third_party.modules[name]
    if name in third_party.problems:
        raise UnknownNameError(third_party.problems[name])
    raise UnknownNameError(
        f"There is no environment family {name!r}.{suggestion(name, families())} "
        f"Families: {', '.join(families())}."
    )


def tasks() -> dict[str, str]:
    """Return the family of every task, by the task's name."""
    return {**_builtin_tasks(), **_third_party().tasks}


def missing_families() -> list[str]:
    """Return the families that cannot be made here."""
    return [name for name in families() if not load(name).FAMILY.is_installed]


def installed_samples() -> dict[str, str]:
    """Return, for each family that can be made here, the task that represents it."""
    found = {name: load(name).FAMILY for name in families()}
    return {name: family.samples[0] for name, family in found.items() if family.is_installed}


def resolve(name: str) -> EnvSource:
    """Return the source of the environment that `name` means. Nothing is loaded but a family.

    Args:
        name: a family, which means its default task; a task; `package.module:attribute`;
            `path/to/file.py:attribute`; `gymnasium:ID`; or `pettingzoo:MODULE`.

    Raises:
        UnknownNameError: there is no such family or task; suggests the nearest names.
        ArgumentError: a name with a colon that has none of these forms.
    """
    if not isinstance(name, str):
        raise ArgumentError(
            f"An environment is named by text; got {name!r}. Name a class or function as "
            f"package.module:NAME or path/to/file.py:NAME."
        )
    # Other distributions are looked through only for names that are not ours.
    if name in builtin_families():
        return _of_family(name)
    if name in (found := _builtin_tasks()):
        return _of_family(found[name], name)
    if is_reference(name):
        return _source.of_reference(name)
    third_party = _third_party()
    if name in third_party.modules or name in third_party.problems:
        return _of_family(name)
    if name in third_party.tasks:
        return _of_family(third_party.tasks[name], name)
    raise UnknownNameError(
        f"There is no environment {name!r}.{suggestion(name, [*families(), *tasks()])} "
        f"Families: {', '.join(families())}. List tasks with: puffer envs FAMILY. An environment "
        f"outside them is named package.module:attribute, path/to/file.py:attribute, gymnasium:ID "
        f"or pettingzoo:MODULE."
    )


def _of_family(name: str, task: str | None = None) -> EnvSource:
    module = load(name)
    return _source.of_family(module.__name__, module.FAMILY, task or module.FAMILY.default)


@functools.cache
def _builtin_tasks() -> dict[str, str]:
    return {task: family for family in builtin_families() for task in load(family).FAMILY.tasks}


@functools.cache
def _third_party() -> _entry_points.ThirdParty:
    return _entry_points.find(tuple(builtin_families()), _builtin_tasks)
