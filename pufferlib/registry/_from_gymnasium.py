"""Environments that are registered with Gymnasium, by their id."""

import importlib
import importlib.util
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pufferlib.exceptions import ArgumentError, UnknownNameError
from pufferlib.references import load_module
from pufferlib.registry._creator_parts import check_arguments, module_facts, policy_by_observation

if TYPE_CHECKING:
    from gymnasium.envs.registration import EnvSpec
    from torch import nn

    from pufferlib.annotations import EnvCreator
    from pufferlib.registry._emulated import FlatEnv

# Packages that register their namespace of Gymnasium only when they are imported.
_NAMESPACES = {"ALE": "ale_py"}
_MAKE_ARGUMENTS = ("max_episode_steps", "disable_env_checker")  # of gymnasium.make itself


@dataclass(frozen=True)
class FromGymnasium:
    """An environment registered with Gymnasium.

    Attributes:
        id: as `gymnasium.make` takes it: "CartPole-v1", "ALE/Pong-v5", "my_package:MyEnv-v0".
        folder: where the module of such an id is looked for after `sys.path`.
    """

    id: str
    folder: str = field(compare=False)

    def __call__(self, render_mode: str | None = None, **kwargs: Any) -> "FlatEnv":
        """Return a new environment, flat, with episode statistics.

        Args:
            render_mode: see the environment.
            **kwargs: passed to `gymnasium.make`.
        """
        import gymnasium

        from pufferlib.registry._emulated import emulate

        self.check()
        if render_mode is not None:  # not every environment has this argument
            kwargs["render_mode"] = render_mode
        env = gymnasium.make(self.id, disable_env_checker=True, **kwargs)
        return emulate(env, f"gymnasium:{self.id}")

    def check(self, kwargs: Mapping[str, object] | None = None) -> None:
        """Refuse an id that Gymnasium does not know, and arguments that nothing takes."""
        maker, spec = self._maker(), self._spec()
        if kwargs is not None:
            own = {key: kwargs[key] for key in kwargs if key not in _MAKE_ARGUMENTS}
            check_arguments(maker, f"gymnasium:{self.id}", (), {**spec.kwargs, **own})

    @property
    def parameters(self) -> Mapping[str, inspect.Parameter]:
        """The environment's own, if it says, and `render_mode`."""
        own = dict(inspect.signature(self._maker()).parameters)
        return {**own, "render_mode": inspect.signature(self).parameters["render_mode"]}

    def policy(self) -> "Callable[..., nn.Module]":
        """Return a network by what is observed."""
        return policy_by_observation()

    def origin(self) -> dict[str, str]:
        """Return the id and the package that registered it."""
        module = self._maker().__module__
        return {"kind": "gymnasium", "attribute": self.id, **module_facts(module)}

    def _maker(self) -> "EnvCreator":
        """Return the class or function that Gymnasium calls.

        Raises:
            ArgumentError: Gymnasium can make only vectors of the environment.
        """
        from gymnasium.envs.registration import load_env_creator

        point: Any = self._spec().entry_point
        if point is None:
            raise ArgumentError(
                f"gymnasium:{self.id} has only a vector_entry_point, and pufferlib vectorizes "
                f"single environments. Register an entry_point for it too."
            )
        maker: EnvCreator = load_env_creator(point) if isinstance(point, str) else point
        return maker

    def _spec(self) -> "EnvSpec":
        """Return Gymnasium's record of the id, once the module that registers it is imported."""
        import gymnasium

        module, _, name = self.id.rpartition(":")
        if module:
            load_module(module, self.folder)
        package = _NAMESPACES.get(name.partition("/")[0])
        if package is not None and importlib.util.find_spec(package) is not None:
            importlib.import_module(package)
        try:
            return gymnasium.spec(name)
        except gymnasium.error.Error as error:
            raise UnknownNameError(
                f"Gymnasium has no environment {name!r}: {error} An environment that a package "
                f"registers when it is imported is named gymnasium:MODULE:ID."
            ) from error
