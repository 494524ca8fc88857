"""Environments of PettingZoo, and of packages with modules of the same form."""

import functools
import importlib
import inspect
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pufferlib.exceptions import NotInstalledError, UnknownNameError, suggestion
from pufferlib.registry._creator_parts import check_arguments, module_facts, policy_by_observation

if TYPE_CHECKING:
    from torch import nn

    from pufferlib.annotations import EnvCreator
    from pufferlib.registry._emulated import FlatEnv


@dataclass(frozen=True)
class FromPettingZoo:
    """An environment of PettingZoo, or of a package that has modules of the same form.

    Attributes:
        module: has `parallel_env` or `env`: "butterfly.pistonball_v6" in pettingzoo, or, where
            pettingzoo has no such module, a whole name: "mpe2.simple_spread_v3".
    """

    module: str

    def __call__(self, **kwargs: Any) -> "FlatEnv":
        """Return a new environment, flat, with statistics of each agent's episode."""
        from pufferlib.registry._emulated import emulate

        return emulate(self._maker()(**kwargs), f"pettingzoo:{self.module}")

    def check(self, kwargs: Mapping[str, object] | None = None) -> None:
        """Refuse a module that is not there or defines no environment, and unknown arguments."""
        maker = self._maker()
        if kwargs is not None:
            check_arguments(maker, f"pettingzoo:{self.module}", (), kwargs)

    @property
    def parameters(self) -> Mapping[str, inspect.Parameter]:
        """What `parallel_env` or `env` takes; of **kwargs `render_mode`, which all of them have."""
        own = inspect.signature(self._maker()).parameters
        mode = inspect.Parameter("render_mode", inspect.Parameter.KEYWORD_ONLY, default=None)
        takes_any = any(p.kind is p.VAR_KEYWORD for p in own.values())
        return {"render_mode": mode, **own} if takes_any else own

    def policy(self) -> "Callable[..., nn.Module]":
        """Return a network by what is observed."""
        return policy_by_observation()

    def origin(self) -> dict[str, str]:
        """Return the module and the distribution that brings it."""
        module = self._load()
        return {"kind": "pettingzoo", "attribute": self.module, **module_facts(module.__name__)}

    def _load(self) -> ModuleType:
        names = [f"pettingzoo.{self.module}", self.module]
        for name in names:
            try:
                with warnings.catch_warnings():
                    # PettingZoo prefers pettingzoo.make, which other packages do not have.
                    warnings.filterwarnings("ignore", "The old environment creation API")
                    return importlib.import_module(name)
            except ModuleNotFoundError as error:
                if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                    raise NotInstalledError(
                        f"pettingzoo:{self.module} imports {error.name}, which is not installed. "
                        f"Install it, for example with the extra of pettingzoo that brings "
                        f'{self.module}: pip install "pettingzoo[{self.module.partition(".")[0]}]"'
                    ) from error
        raise UnknownNameError(
            f"There is no module {' or '.join(names)}. Name one such as "
            f"pettingzoo:butterfly.pistonball_v6 or pettingzoo:mpe2.simple_spread_v3."
            f"{suggestion(f'pettingzoo:{self.module}', _pettingzoo_names())}"
        )

    def _maker(self) -> "EnvCreator":
        module = self._load()
        maker = getattr(module, "parallel_env", None) or getattr(module, "env", None)
        if callable(maker):
            return maker
        raise UnknownNameError(
            f"{module.__name__} has neither parallel_env nor env, so it is no environment of "
            f"PettingZoo.{suggestion(f'pettingzoo:{self.module}', _pettingzoo_names())}"
        )


@functools.cache
def _pettingzoo_names() -> list[str]:
    """Return the names of PettingZoo's own registry."""
    import pettingzoo

    names = {
        *getattr(pettingzoo, "parallel_registry", ()),
        *getattr(pettingzoo, "aec_registry", ()),
    }
    return sorted(f"pettingzoo:{name.replace('/', '.').replace('-v', '_v')}" for name in names)
