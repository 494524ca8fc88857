"""What the creators of environments have in common: arguments, default policy, provenance."""

import hashlib
import importlib.util
import inspect
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from pufferlib.exceptions import ArgumentError, suggestion
from pufferlib.references import distributions

if TYPE_CHECKING:
    from torch import nn


def check_arguments(
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


def policy_by_observation() -> "Callable[..., nn.Module]":
    from pufferlib.policies.by_observation import policy_of

    return policy_of


def module_facts(name: str) -> dict[str, str]:
    """Return a module's name, file and hash, and the distribution and version that bring it."""
    facts: dict[str, str] = {"module": name}
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return facts
    if spec is not None and spec.origin is not None and Path(spec.origin).is_file():
        facts |= file_facts(spec.origin)
    for distribution in distributions().get(name.partition(".")[0], ())[:1]:
        facts |= {"distribution": distribution, "version": version(distribution)}
    return facts


def file_facts(path: str) -> dict[str, str]:
    digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    return {"file": str(Path(path).absolute()), "sha256": digest}
