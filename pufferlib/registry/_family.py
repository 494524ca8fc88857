"""What the registry knows of an environment family without importing it."""

import functools
import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pufferlib.exceptions import ArgumentError, NotInstalledError, UnknownNameError, suggestion


@dataclass(frozen=True)
class Family:
    """A family of environments that one package brings.

    Attributes:
        name: of the registry module and of the extra in pyproject.toml.
        package: what is imported, by the distribution whose version is the family's; None if the
            family is part of pufferlib.
        default: the task that `make_env` makes when none is named.
        tasks: all names that `make_env` takes.
        samples: tasks that stand for all of them where trying each would take too long: one for
            each kind of space or code path, the first for the family. The default task if empty.
        stale_pins: packages of the extra whose own requirements pin versions that are too old, and
            run well with newer ones: installed without their requirements.
        needs: what is imported besides, of other distributions that pufferlib itself does not ask
            for: without any of them the family is not installed.
        unseeded_tasks: tasks that the same seed does not play again.
        is_one_per_process: the package refuses a second environment in a process.
        render_modes: what `make_env` takes for `render_mode` besides None; of some tasks the
            package takes fewer. Empty if it takes no `render_mode`.
    """

    name: str
    package: str | None
    default: str
    tasks: tuple[str, ...]
    samples: tuple[str, ...] = ()
    stale_pins: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    unseeded_tasks: tuple[str, ...] = ()
    is_one_per_process: bool = False
    render_modes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.samples:
            object.__setattr__(self, "samples", (self.default,))

    @property
    def imports(self) -> tuple[str, ...]:
        """Everything that must be there to import, the package first."""
        return (*filter(None, [self.package]), *self.needs)

    @property
    def is_installed(self) -> bool:
        return all(importlib.util.find_spec(name) is not None for name in self.imports)

    @property
    def install_line(self) -> str:
        """What to run to install it."""
        other = "puffer install " if self.stale_pins else "pip install "
        extra = self.name if self.stale_pins else f'"pufferlib[{self.name}]"'
        return f"make install ENV={self.name}   (or: {other}{extra})"

    def check(self, task: str, render_mode: str | None = None) -> None:
        """Refuse what is not of this family, or a package that is not installed.

        Raises:
            UnknownNameError: there is no such task; suggests the nearest names.
            ArgumentError: there is no such render mode.
            NotInstalledError: says how to install it.
        """
        if task not in self.tasks:
            raise UnknownNameError(
                f"{self.name} has no task {task!r}.{suggestion(task, self.tasks)} "
                f"List them with: puffer envs {self.name}"
            )
        if render_mode not in (None, *self.render_modes):
            modes = " or ".join(map(repr, self.render_modes))
            raise ArgumentError(
                f"render_mode of {self.name} must be None or {modes}; got {render_mode!r}."
            )
        if not self.is_installed:
            raise NotInstalledError(f"{self.name} is not installed. Run: {self.install_line}")


def creator_of(family: Family, make_env: Callable[..., Any]) -> Callable[..., Callable[..., Any]]:
    """Return a module's `env_creator`."""

    def env_creator(name: str = family.default) -> Callable[..., Any]:
        """Return a picklable function that makes the task `name`."""
        family.check(name)
        return functools.partial(make_env, name)

    return env_creator


def lazily(**names: str) -> Callable[[str], Any]:
    """Return a module's `__getattr__` that imports `name="module:attribute"` on first use.

    So that a registry module has a `Policy` and importing it still loads no torch.
    """

    def load_attribute(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"this registry module has no attribute {name!r}")
        module, attribute = names[name].split(":")
        return getattr(importlib.import_module(module), attribute)

    return load_attribute
