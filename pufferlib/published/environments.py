"""`pufferlib.environments.<name>` of 1.0: the families of `pufferlib.registry`."""

import sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from pufferlib import registry

_OTHER_INFOS = {"atari": "pufferlib.published.atari"}


class FamilyModule(ModuleType):
    """A family by its published path.

    Args:
        path: its name.
        names: where the object of each name is, module:attribute; imported on first use.
        is_package: it has submodules.
    """

    def __init__(self, path: str, names: dict[str, str], is_package: bool = False) -> None:
        super().__init__(path, "A family of `pufferlib.registry`, by its published path.")
        self.__spec__ = ModuleSpec(path, None, is_package=is_package)
        if is_package:
            self.__path__: list[str] = []
        self.__all__ = sorted(names)
        self._names = names

    def __getattr__(self, name: str) -> Any:
        if name not in self._names:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        place, attribute = self._names[name].split(":")
        return getattr(import_module(place), attribute)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._names})


def add_families(package: str) -> None:
    """Make every family importable as a module of `package`; nothing of it is loaded until used."""
    for family in registry.builtin_families():
        path, home = f"{package}.{family}", f"pufferlib.registry.{family}"
        makers = _OTHER_INFOS.get(family, home)
        policies = {"Policy": f"{home}:Policy", "Recurrent": "pufferlib.models:LSTMWrapper"}
        names = {name: f"{makers}:{name}" for name in ("env_creator", "make_env")}
        names["FAMILY"] = f"{home}:FAMILY"
        module = FamilyModule(path, names | policies, is_package=True)
        torch = FamilyModule(f"{path}.torch", policies)
        sys.modules[path], sys.modules[torch.__name__] = module, torch
        vars(module)["torch"] = torch
        setattr(sys.modules[package], family, module)
