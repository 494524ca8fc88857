"""`Family`: what is known about an environment family without importing its package."""

import functools
import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pufferlib.exceptions import ArgumentError, NotInstalledError, UnknownNameError, suggestion

if TYPE_CHECKING:
    from pufferlib.annotations import EnvCreator


@dataclass(frozen=True)
class Family:
    """A family: the environments of one package.

    Attributes:
        name: of the family; of ours also the registry module and the extra in pyproject.toml.
        package: the package that `make_env` imports, whose version `puffer test` reports; None if
            the family needs none.
        default: the task that `make_env` makes when none is named.
        tasks: all names that `make_env` takes.
        samples: tasks that are tested where testing all would take too long: one for each kind of
            space or code path; the first one represents the family. The default task if empty.
        stale_pins: packages of the extra that pin outdated versions but run with newer ones; they
            are installed without their requirements.
        needs: further packages that `make_env` imports and that pufferlib does not depend on.
        unseeded_tasks: tasks that are not deterministic under a seed.
        single_tasks: tasks without a native form, where `make_env` takes `num_envs` for others.
        is_one_per_process: the package allows one environment per process.
        render_modes: what `make_env` accepts as `render_mode` besides None; some tasks accept
            fewer. Empty if it has no `render_mode`.
        install: shell command that installs `package` and `needs`; required of a family of another
            distribution that has either. Our own families are installed by their extra.
        presets: folder with `<family>.toml` and `<task>.toml`, for a family of another
            distribution. Our own presets are in `pufferlib/config`.
    """

    name: str
    package: str | None
    default: str
    tasks: tuple[str, ...]
    samples: tuple[str, ...] = ()
    stale_pins: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    unseeded_tasks: tuple[str, ...] = ()
    single_tasks: tuple[str, ...] = ()
    is_one_per_process: bool = False
    render_modes: tuple[str, ...] = ()
    install: str = ""
    presets: Path | None = None

    def __post_init__(self) -> None:
        if not self.samples:
            object.__setattr__(self, "samples", (self.default,))

    @property
    def imports(self) -> tuple[str, ...]:
        """All packages that must be importable, `package` first."""
        return (*filter(None, [self.package]), *self.needs)

    @property
    def is_installed(self) -> bool:
        return all(importlib.util.find_spec(name) is not None for name in self.imports)

    @property
    def install_line(self) -> str:
        """The command that installs it."""
        if self.install:
            return self.install
        other = "puffer install " if self.stale_pins else "pip install "
        extra = self.name if self.stale_pins else f'"pufferlib[{self.name}]"'
        return f"make install ENV={self.name}   (or: {other}{extra})"

    def check(self, task: str, render_mode: str | None = None) -> None:
        """Raise if the task or render mode is unknown, or a package is not installed.

        Raises:
            UnknownNameError: unknown task; suggests the nearest names.
            ArgumentError: unknown render mode.
            NotInstalledError: says how to install the family.
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


def creator_of(family: Family, make_env: "EnvCreator") -> "Callable[..., EnvCreator]":
    """Return the `env_creator` of a registry module."""

    def env_creator(name: str = family.default) -> "EnvCreator":
        """Return a picklable function that makes the task `name`."""
        family.check(name)
        return functools.partial(make_env, name)

    return env_creator


def lazily(**names: str) -> Callable[[str], Any]:
    """Return a module `__getattr__` that imports `name="module:attribute"` on first use.

    It lets a registry module have a `Policy` without importing torch.
    """

    def load_attribute(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"this registry module has no attribute {name!r}")
        module, attribute = names[name].split(":")
        return getattr(importlib.import_module(module), attribute)

    return load_attribute
