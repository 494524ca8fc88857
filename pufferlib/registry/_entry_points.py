"""Environment families that other distributions bring, found by their entry points.

A distribution declares in its pyproject.toml

    [project.entry-points."pufferlib.families"]
    my_family = "my_package.family"

where the module has `FAMILY`, `make_env(name, ...)` and optionally `Policy`. What is wrong with one
family is a warning that names its distribution; it leaves out that family and no other.
"""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType

from pufferlib.registry._creators import FamilyTask
from pufferlib.registry._family import Family

GROUP = "pufferlib.families"
_RESERVED = ("all",)  # as ENV on the command line


class _FamilyError(Exception):
    """A family cannot be used; the message says why, and what its author can do."""


@dataclass(frozen=True)
class ThirdParty:
    """The families of other distributions.

    Attributes:
        modules: by the family's name, sorted.
        tasks: the family of each task.
        problems: what is wrong with the entry points that are left out, by their names.
    """

    modules: Mapping[str, ModuleType]
    tasks: Mapping[str, str]
    problems: Mapping[str, str]


def find(families: tuple[str, ...], builtin_tasks: Callable[[], Mapping[str, str]]) -> ThirdParty:
    """Return the families of other distributions; warn of those that cannot be used.

    Args:
        families: names that are taken.
        builtin_tasks: returns the family of each task that is taken; called if there are entry
            points at all, as it loads every family.
    """
    points = sorted(entry_points(group=GROUP), key=lambda p: (_distribution(p), p.name))
    tasks = builtin_tasks() if points else {}
    modules: dict[str, ModuleType] = {}
    brought_by: dict[str, str] = {}
    problems: dict[str, str] = {}
    family_of: dict[str, str] = {}
    for point in points:
        who = _distribution(point)
        try:
            _check_name(point.name, families, tasks, brought_by)
            module = _load(point)
        except _FamilyError as error:
            problem = f"The environment family {point.name!r} of {who} is left out: {error}"
            problems.setdefault(point.name, problem)
            warnings.warn(problem, stacklevel=2)
            continue
        family: Family = module.FAMILY
        clashing = [t for t in family.tasks if t in tasks or t in family_of or t in families]
        if clashing:
            warnings.warn(
                f"The environment family {family.name!r} of {who} has tasks whose names are taken: "
                f"{', '.join(clashing)}. These names mean the environments that had them before. "
                f"Rename the tasks, for example {family.name}-{clashing[0]}.",
                stacklevel=2,
            )
        family_of |= {task: family.name for task in family.tasks if task not in clashing}
        modules[family.name], brought_by[family.name] = module, who
    return ThirdParty(dict(sorted(modules.items())), family_of, problems)


def _check_name(
    name: str, families: tuple[str, ...], tasks: Mapping[str, str], brought_by: Mapping[str, str]
) -> None:
    if name in families:
        raise _FamilyError(
            "pufferlib has a family of this name. Rename the entry point and FAMILY."
        )
    if name in tasks:
        raise _FamilyError(
            f"{tasks[name]} has a task of this name. Rename the entry point and FAMILY."
        )
    if name in _RESERVED:
        raise _FamilyError("the name is reserved. Rename the entry point and FAMILY.")
    if name in brought_by:
        raise _FamilyError(
            f"{brought_by[name]} brings a family of this name. Uninstall one of the two."
        )


def _load(point: EntryPoint) -> ModuleType:
    """Return the module of an entry point, with an `env_creator` if it had none."""
    try:
        module = point.load()
    except Exception as error:
        raise _FamilyError(
            f"{point.value} cannot be imported: {type(error).__name__}: {error}. Importing the "
            f"module of a family must not need its environment; import that in make_env."
        ) from error
    if not isinstance(module, ModuleType):
        raise _FamilyError(f"{point.value} is not a module. Name the module that has FAMILY.")
    family = getattr(module, "FAMILY", None)
    if not isinstance(family, Family):
        raise _FamilyError(f"{point.value} has no FAMILY. Set it to a pufferlib.registry.Family.")
    if family.name != point.name:
        raise _FamilyError(
            f"FAMILY.name is {family.name!r}, the entry point {point.name!r}. Give both one name."
        )
    if not callable(getattr(module, "make_env", None)):
        raise _FamilyError(f"{point.value} has no make_env. Define make_env(name, **kwargs).")
    if family.default not in family.tasks:
        raise _FamilyError(f"FAMILY.default, {family.default!r}, is none of FAMILY.tasks. Add it.")
    if family.imports and not family.install:
        raise _FamilyError(
            "FAMILY.package or FAMILY.needs is set and FAMILY.install is empty. Set install to the "
            'shell command that installs them, such as "pip install my-package".'
        )
    if not hasattr(module, "env_creator"):
        module.env_creator = _env_creator(module.__name__, family)  # type: ignore[attr-defined]
    return module


def _env_creator(module: str, family: Family) -> Callable[..., FamilyTask]:
    """Return the `env_creator` of a module that has none."""

    def env_creator(name: str = family.default) -> FamilyTask:
        """Return a picklable function that makes the task `name`."""
        family.check(name)
        return FamilyTask(module, name)

    return env_creator


def _distribution(point: EntryPoint) -> str:
    return (
        "an unknown distribution"
        if point.dist is None
        else f"{point.dist.name} {point.dist.version}"
    )
