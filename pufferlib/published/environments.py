"""`pufferlib.environments.<name>` of 1.0: the families of `pufferlib.registry`."""

import importlib
import sys
from types import ModuleType
from typing import Any

from pufferlib import registry


class FamilyModule(ModuleType):
    """A family by its published path: what its registry module has, and `torch` and `Recurrent`."""

    def __init__(self, path: str, family: str) -> None:
        super().__init__(path, f"`pufferlib.registry.{family}`, by its published name.")
        self.__path__: list[str] = []  # makes it a package, for `torch`
        self._family = family

    def __getattr__(self, name: str) -> Any:
        if name == "torch":
            return sys.modules[f"{self.__name__}.torch"]
        if name == "Recurrent":
            return importlib.import_module("pufferlib.models").LSTMWrapper
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(registry.load(self._family), name)


def add_families(package: str) -> None:
    """Make every family importable as a module of `package`; nothing of it is loaded until used."""
    for family in registry.builtin_families():
        path = f"{package}.{family}"
        module = sys.modules[path] = FamilyModule(path, family)
        sys.modules[f"{path}.torch"] = FamilyModule(f"{path}.torch", family)
        setattr(sys.modules[package], family, module)
