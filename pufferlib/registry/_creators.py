"""Environment creators, one class for each way to name an environment.

Each is a small picklable value; the process that calls it imports what it needs. That is why
classes and functions of a user's file reach workers that are spawned, or of Ray: nothing of the
file is pickled, the worker loads the file again.
"""

import functools
import hashlib
import importlib
import importlib.util
import inspect
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import packages_distributions, version
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

from pufferlib.exceptions import ArgumentError, NotInstalledError, UnknownNameError, suggestion
from pufferlib.references import Reference, load_module
from pufferlib.registry._family import Family

if TYPE_CHECKING:
    from gymnasium.envs.registration import EnvSpec
    from torch import nn

    from pufferlib.annotations import EnvCreator
    from pufferlib.registry._emulated import FlatEnv

_OURS = "pufferlib.registry."
# Packages that register their namespace of Gymnasium only when they are imported.
_NAMESPACES = {"ALE": "ale_py"}
_MAKE_ARGUMENTS = ("max_episode_steps", "disable_env_checker")  # of gymnasium.make itself


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
            _check_arguments(module.make_env, self.task, (self.task,), kwargs)

    @property
    def parameters(self) -> Mapping[str, inspect.Parameter]:
        """What the family's `make_env` takes, the task left out."""
        module = self._load()
        taken = list(inspect.signature(module.make_env).parameters.items())[1:]
        is_single = self.task in module.FAMILY.single_tasks
        return {name: each for name, each in taken if not (is_single and name == "num_envs")}

    def policy(self) -> "Callable[..., nn.Module]":
        """Return the family's `Policy`; one by what is observed where it brings none."""
        return getattr(self._load(), "Policy", None) or _policy_by_observation()

    def origin(self) -> dict[str, str]:
        """Return family, task, module and the distribution that brings it."""
        return {
            "kind": "family",
            "family": self._load().FAMILY.name,
            "attribute": self.task,
            **_module_facts(self.module),
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
        _check_arguments(function, name, args, kwargs)
        return emulate(function(*args, **kwargs), name)

    def check(self, kwargs: Mapping[str, object] | None = None) -> None:
        """Refuse a module or file that is missing or fails to load, and what cannot be called."""
        function = self._load()
        if kwargs is not None:
            _check_arguments(function, self.reference.name, (), kwargs)

    @property
    def parameters(self) -> Mapping[str, inspect.Parameter]:
        """What the function or class takes; nothing if it does not say."""
        try:
            return inspect.signature(self._load()).parameters
        except (TypeError, ValueError):
            return {}

    def policy(self) -> "Callable[..., nn.Module]":
        """Return a network by what is observed."""
        return _policy_by_observation()

    def origin(self) -> dict[str, str]:
        """Return module or file, with its hash, attribute, distribution and version."""
        self.check()  # which also finds a module of the current directory
        if self.reference.file is None:
            assert self.reference.module is not None
            facts = {"kind": "module", **_module_facts(self.reference.module)}
        else:
            facts = {"kind": "file", **_file_facts(self.reference.file)}
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
            _check_arguments(maker, f"gymnasium:{self.id}", (), {**spec.kwargs, **own})

    @property
    def parameters(self) -> Mapping[str, inspect.Parameter]:
        """The environment's own, if it says, and `render_mode`."""
        own = dict(inspect.signature(self._maker()).parameters)
        return {**own, "render_mode": inspect.signature(self).parameters["render_mode"]}

    def policy(self) -> "Callable[..., nn.Module]":
        """Return a network by what is observed."""
        return _policy_by_observation()

    def origin(self) -> dict[str, str]:
        """Return the id and the package that registered it."""
        module = self._maker().__module__
        return {"kind": "gymnasium", "attribute": self.id, **_module_facts(module)}

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
            _check_arguments(maker, f"pettingzoo:{self.module}", (), kwargs)

    @property
    def parameters(self) -> Mapping[str, inspect.Parameter]:
        """What `parallel_env` or `env` takes; of **kwargs `render_mode`, which all of them have."""
        own = inspect.signature(self._maker()).parameters
        mode = inspect.Parameter("render_mode", inspect.Parameter.KEYWORD_ONLY, default=None)
        takes_any = any(p.kind is p.VAR_KEYWORD for p in own.values())
        return {"render_mode": mode, **own} if takes_any else own

    def policy(self) -> "Callable[..., nn.Module]":
        """Return a network by what is observed."""
        return _policy_by_observation()

    def origin(self) -> dict[str, str]:
        """Return the module and the distribution that brings it."""
        module = self._load()
        return {"kind": "pettingzoo", "attribute": self.module, **_module_facts(module.__name__)}

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


def _check_arguments(
    function: Callable[..., object],
    name: str,
    args: tuple[object, ...],
    kwargs: Mapping[str, object],
) -> None:
    """Refuse arguments that do not fit the signature of `function`, if it has one."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # compiled
        return
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        options = list(signature.parameters)[len(args) :]
        given = ", ".join(f"{key}={value!r}" for key, value in kwargs.items())
        unknown = [key for key in kwargs if key not in options]
        raise ArgumentError(
            f"{name} cannot be called with ({given}): {error}."
            f"{suggestion(unknown[0], options) if unknown else ''} It takes "
            f"{', '.join(options) or 'no arguments'}."
        ) from error


def _is_environment(value: object) -> bool:
    """Return whether `value` is an environment that is made already; some can be called."""
    return not inspect.isclass(value) and hasattr(value, "reset") and hasattr(value, "step")


def _policy_by_observation() -> "Callable[..., nn.Module]":
    from pufferlib.policies.by_observation import policy_of

    return policy_of


def _module_facts(name: str) -> dict[str, str]:
    """Return a module's name, file and hash, and the distribution and version that bring it."""
    facts: dict[str, str] = {"module": name}
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return facts
    if spec is not None and spec.origin is not None and Path(spec.origin).is_file():
        facts |= _file_facts(spec.origin)
    for distribution in packages_distributions().get(name.partition(".")[0], ())[:1]:
        facts |= {"distribution": distribution, "version": version(distribution)}
    return facts


def _file_facts(path: str) -> dict[str, str]:
    digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    return {"file": str(Path(path).absolute()), "sha256": digest}


@functools.cache
def _pettingzoo_names() -> list[str]:
    """Return the names of PettingZoo's own registry."""
    import pettingzoo

    names = {
        *getattr(pettingzoo, "parallel_registry", ()),
        *getattr(pettingzoo, "aec_registry", ()),
    }
    return sorted(f"pettingzoo:{name.replace('/', '.').replace('-v', '_v')}" for name in names)
