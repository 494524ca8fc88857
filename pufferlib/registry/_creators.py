"""Environment creators, one class for each way to name an environment.

Each is a small picklable value; the process that calls it imports what it needs. That is why
classes and functions of a user's file reach workers that are spawned, or of Ray: nothing of the
file is pickled, the worker loads the file again.
"""

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

from pufferlib.exceptions import ArgumentError
from pufferlib.references import Reference
from pufferlib.registry._creator_parts import (
    check_arguments,
    file_facts,
    module_facts,
    policy_by_observation,
)
from pufferlib.registry._family import Family

if TYPE_CHECKING:
    from torch import nn

    from pufferlib.annotations import EnvCreator
    from pufferlib.registry._emulated import FlatEnv

_OURS = "pufferlib.registry."


class Creator(Protocol):
    """Makes one environment per call; see the module's docstring."""

    def __call__(self, *args: Any, **kwargs: Any) -> "FlatEnv":
        """Return a new environment, flat, with episode statistics."""

    def check(self, kwargs: Mapping[str, object] | None = None) -> None:
        """Raise an error that says what is missing, before anything is made.

        Args:
            kwargs: arguments it will be called with; checked as far as it declares its own.
        """

    @property
    def parameters(self) -> Mapping[str, inspect.Parameter]:
        """The arguments it takes, by name; loads the module that defines them."""

    def policy(self) -> "Callable[..., nn.Module]":
        """Return the function or class that makes the default network from (env, hidden_size)."""

    def origin(self) -> dict[str, str]:
        """Return where it comes from, as JSON takes it."""


@dataclass(frozen=True)
class FamilyTask:
    """A task of a family.

    Attributes:
        module: name of the family's module.
        task: one of `FAMILY.tasks`.
    """

    module: str
    task: str

    @property
    def is_ours(self) -> bool:
        """Whether pufferlib itself, not another distribution, brings the family."""
        return self.module.startswith(_OURS)

    def __call__(self, *args: Any, **kwargs: Any) -> "FlatEnv":
        """Return a new environment of the task, flat, with episode statistics.

        Those of other distributions may return a plain environment.
        """
        env = self._load().make_env(self.task, *args, **kwargs)
        if self.is_ours:
            return env
        from pufferlib.registry._emulated import emulate

        return emulate(env, f"make_env of {self.module}")

    def check(self, kwargs: Mapping[str, object] | None = None) -> None:
        """Refuse a package that is not installed, and arguments that `make_env` does not take."""
        module = self._load()
        family: Family = module.FAMILY
        family.check(self.task)
        if kwargs is not None:
            check_arguments(module.make_env, self.task, (self.task,), kwargs)

    @property
    def parameters(self) -> Mapping[str, inspect.Parameter]:
        """What the family's `make_env` takes, the task left out."""
        module = self._load()
        taken = list(inspect.signature(module.make_env).parameters.items())[1:]
        is_single = self.task in module.FAMILY.single_tasks
        return {name: each for name, each in taken if not (is_single and name == "num_envs")}

    def policy(self) -> "Callable[..., nn.Module]":
        """Return the family's `Policy`; one by what is observed where it brings none."""
        return getattr(self._load(), "Policy", None) or policy_by_observation()

    def origin(self) -> dict[str, str]:
        """Return family, task, module and the distribution that brings it."""
        return {
            "kind": "family",
            "family": self._load().FAMILY.name,
            "attribute": self.task,
            **module_facts(self.module),
        }

    def _load(self) -> ModuleType:
        return importlib.import_module(self.module)


@dataclass(frozen=True)
class Referenced:
    """What a user's module or file defines: a class or function that returns an environment.

    Attributes:
        reference: names it.
    """

    reference: Reference

    def __call__(self, *args: Any, **kwargs: Any) -> "FlatEnv":
        """Return a new environment, flat, with episode statistics.

        Raises:
            ArgumentError: it does not take these arguments, or returns no environment.
        """
        from pufferlib.registry._emulated import emulate

        function = self._load()
        name = self.reference.name
        check_arguments(function, name, args, kwargs)
        return emulate(function(*args, **kwargs), name)

    def check(self, kwargs: Mapping[str, object] | None = None) -> None:
        """Refuse a module or file that is missing or fails to load, and what cannot be called."""
        function = self._load()
        if kwargs is not None:
            check_arguments(function, self.reference.name, (), kwargs)

    @property
    def parameters(self) -> Mapping[str, inspect.Parameter]:
        """What the function or class takes; nothing if it does not say."""
        try:
            return inspect.signature(self._load()).parameters
        except (TypeError, ValueError):
            return {}

    def policy(self) -> "Callable[..., nn.Module]":
        """Return a network by what is observed."""
        return policy_by_observation()

    def origin(self) -> dict[str, str]:
        """Return module or file, with its hash, attribute, distribution and version."""
        self.check()  # which also finds a module of the current directory
        if self.reference.file is None:
            assert self.reference.module is not None
            facts = {"kind": "module", **module_facts(self.reference.module)}
        else:
            facts = {"kind": "file", **file_facts(self.reference.file)}
        return {**facts, "attribute": self.reference.attribute}

    def _load(self) -> "EnvCreator":
        value = self.reference.load()
        name = self.reference.name
        if callable(value) and not _is_environment(value):
            return value
        kind = f"an instance of {type(value).__module__}.{type(value).__qualname__}"
        if isinstance(value, ModuleType):
            kind = "a module"
        raise ArgumentError(
            f"{name} must be a class or a function that returns an environment; it is {kind}. "
            f"Every worker makes its own environments: write a function that returns one and name "
            f"that."
        )


def _is_environment(value: object) -> bool:
    """Return whether `value` is an environment that is made already; some can be called."""
    return not inspect.isclass(value) and hasattr(value, "reset") and hasattr(value, "step")
