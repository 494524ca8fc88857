"""Where an environment comes from: a family, a module, a file, Gymnasium or PettingZoo."""

import inspect
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pufferlib.references import Reference
from pufferlib.registry._creators import Creator, FamilyTask, Referenced
from pufferlib.registry._family import Family
from pufferlib.registry._from_gymnasium import FromGymnasium
from pufferlib.registry._from_pettingzoo import FromPettingZoo

if TYPE_CHECKING:
    from torch import nn

_GYMNASIUM, _PETTINGZOO = "gymnasium:", "pettingzoo:"


@dataclass(frozen=True)
class EnvSource:
    """Where an environment comes from: all that a run needs to make it, here and again later.

    `registry.resolve(name)` returns one. Nothing is loaded until it is needed, so a source can be
    compared and named also where its file or package is missing; `check` finds out.

    Attributes:
        name: canonical; `registry.resolve(name)` returns an equal source. The task of a family;
            otherwise as given, the path of a file absolute.
        label: short, and safe in the names of files: "CartPole-v1", "my_env-make_env".
        family: None for an environment outside every family.
        preset_names: presets that apply, the most general first: (family, task); () outside.
        make_env: returns a new environment, flat, with episode statistics. Picklable; takes the
            arguments of a family's `make_env` but the task, or of the user's class or function.
    """

    name: str
    label: str
    family: Family | None = field(repr=False)
    preset_names: tuple[str, ...]
    make_env: Creator = field(repr=False)

    def creator(self, kwargs: Mapping[str, object] | None = None) -> Creator:
        """Return `make_env` after `check(kwargs)`.

        The result pickles for workers that are forked, spawned, started by a fork server or by Ray.

        Raises:
            UnknownNameError, NotInstalledError, ArgumentError: see `check`.
        """
        self.check(kwargs)
        return self.make_env

    def check(self, kwargs: Mapping[str, object] | None = None) -> None:
        """Refuse what cannot be made here, before any process starts.

        Args:
            kwargs: arguments that `make_env` will be called with, checked too if given.

        Raises:
            NotInstalledError: a package is missing; says how to install it.
            UnknownNameError: there is no such module, file, attribute or id.
            ArgumentError: the module fails to import, the attribute cannot make environments, or
                it does not take `kwargs`.
        """
        self.make_env.check(kwargs)

    @property
    def parameters(self) -> Mapping[str, inspect.Parameter]:
        """The arguments that `make_env` declares, by name. Loads the module that defines them."""
        return self.make_env.parameters

    def takes(self, argument: str) -> bool:
        """Return whether `make_env` declares this argument.

        `num_envs` is that of a native form, which steps many games as one environment.
        """
        return argument in self.parameters

    @property
    def is_ours(self) -> bool:
        """Whether the environment belongs to a family of pufferlib itself."""
        return isinstance(self.make_env, FamilyTask) and self.make_env.is_ours

    @property
    def is_one_per_process(self) -> bool:
        """Whether the package refuses a second environment in a process."""
        return self.family is not None and self.family.is_one_per_process

    @property
    def is_deterministic(self) -> bool:
        """Whether the same seed plays the same episode again; outside families that is expected."""
        return self.family is None or self.name not in self.family.unseeded_tasks

    @property
    def preset_folders(self) -> tuple[Path, ...]:
        """Folders with presets that the family brings, besides pufferlib's own."""
        if self.family is None or self.family.presets is None:
            return ()
        return (Path(self.family.presets),)

    def default_policy(self) -> "Callable[..., nn.Module]":
        """Return what makes the network from (env, hidden_size=...); imports torch.

        That is the family's `Policy`, and otherwise a network chosen by what is observed:
        `pufferlib.policies.by_observation.policy_of`.
        """
        return self.make_env.policy()

    def origin(self) -> dict[str, str]:
        """Return what a run's folder records of the source, as JSON takes it.

        `kind` ("family", "module", "file", "gymnasium" or "pettingzoo"), `name` and `attribute`;
        where known `module`, `file` (an absolute path) with its `sha256`, and `distribution` with
        its `version`.
        """
        return {"name": self.name, **self.make_env.origin()}


def of_family(module: str, family: Family, task: str) -> EnvSource:
    """Return the source of a family's task.

    Args:
        module: name of the family's module.
        family: its FAMILY.
        task: one of its tasks.
    """
    make_env = FamilyTask(module, task)
    return EnvSource(task, _label(task), family, (family.name, task), make_env)


def of_reference(name: str) -> EnvSource:
    """Return the source that a name with a scheme, a module or a file means; nothing is loaded.

    Raises:
        ArgumentError: it has none of these forms.
    """
    if name.startswith(_GYMNASIUM):
        id_ = name.removeprefix(_GYMNASIUM)
        made = FromGymnasium(id_, os.getcwd())
        return EnvSource(name, _label(id_.rpartition(":")[2]), None, (), made)
    if name.startswith(_PETTINGZOO):
        module = name.removeprefix(_PETTINGZOO).replace("/", ".")
        module = re.sub(r"-v(\d+)$", r"_v\1", module)  # as in PettingZoo's registry
        name = _PETTINGZOO + module
        return EnvSource(name, _label(module.rpartition(".")[2]), None, (), FromPettingZoo(module))
    reference = Reference.parse(name)
    place = Path(reference.file).stem if reference.file else reference.module
    label = _label(f"{str(place).rpartition('.')[2]}-{reference.attribute}")
    return EnvSource(reference.name, label, None, (), Referenced(reference))


def same_source(first: str, second: str) -> bool:
    """Return whether two names mean the same environment, also if its file was moved.

    Two files are the same source if they have the same file name and attribute.
    """
    if first == second:
        return True
    files = [name.rpartition(":") for name in (first, second)]
    if not all(path.endswith(".py") for path, _, _ in files):
        return False
    (one, _, one_attribute), (other, _, other_attribute) = files
    return one_attribute == other_attribute and Path(one).name == Path(other).name


def _label(text: str) -> str:
    return "".join(char if char.isalnum() or char in "-_." else "-" for char in text)
