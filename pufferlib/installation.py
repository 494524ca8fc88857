"""Install the packages of environment families and other extras, in spite of stale pins.

Some environment packages pin versions that are years old, though they run well with today's. pip
cannot ignore such pins, so those packages (`Family.stale_pins`) are installed last, without their
requirements, on any version of Python, and built with the packages that are installed. pip's
complaints about those pins, and no others, are left out of its output.
"""

import re
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import metadata, requires, version
from pathlib import Path

from pufferlib import registry
from pufferlib.exceptions import ArgumentError, UnknownNameError, suggestion

AS_IT_IS = ("--no-deps", "--ignore-requires-python", "--no-build-isolation")
_RESOLVER_NOTICE = "ERROR: pip's dependency resolver does not currently take into account"


def install(names: Sequence[str], constraint: Path | None) -> tuple[int, dict[str, str]]:
    """Install families and extras; return pip's exit status and the versions, by distribution.

    Args:
        names: families, tasks, extras, or "all" for every family.
        constraint: a file of exact pins, given to pip.

    Raises:
        UnknownNameError: suggests the nearest names.
        ArgumentError: there is no such constraint file.
    """
    if constraint is not None and not constraint.is_file():
        raise ArgumentError(f"There is no constraint file {constraint}.")
    pins = [] if constraint is None else ["--constraint", str(constraint)]
    calls = plan(names)
    for packages in calls:
        status = _pip(["install", "-qq", *pins, *packages])
        if status:
            return status, {}
    installed = [distribution_name(line) for call in calls for line in call if line[:1] != "-"]
    return 0, {name: version(name) for name in sorted(set(installed))}


def plan(names: Sequence[str]) -> list[list[str]]:
    """Return what pip is to install, call by call: options and requirements."""
    wanted = [line for extra in _extras(names) for line in requirements_of(extra)]
    pinned = stale_pins()
    stale = [line for line in wanted if distribution_name(line) in pinned]
    plain = [line for line in wanted if line not in stale]
    return [call for call in (plain, [*AS_IT_IS, *stale] if stale else []) if call]


def stale_pins() -> set[str]:
    """Return the packages of all families that pin what is too old."""
    families = [registry.load(name).FAMILY for name in registry.families()]
    return {package for family in families for package in family.stale_pins}


def requirements_of(extra: str) -> list[str]:
    """Return what `pufferlib[extra]` asks for, each without its marker."""
    marker = re.compile(rf"""extra\s*==\s*["']{re.escape(_normalized(extra))}["']""")
    found = [line.partition(";") for line in requires("pufferlib") or ()]
    return [requirement.strip() for requirement, _, rest in found if marker.search(rest)]


def distribution_name(requirement: str) -> str:
    """Return the name in a requirement such as `nle>=1.3`."""
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name is not None
    return name.group().lower()


def without_stale_notices(text: str, packages: set[str]) -> str:
    """Return what pip wrote to stderr less what it says of the pins of `packages`."""
    lines = [line for line in text.splitlines() if line.partition(" ")[0].lower() not in packages]
    is_about_more = any(re.match(r"\S+ \S+ requires ", line) for line in lines)
    if not is_about_more:
        lines = [line for line in lines if not line.startswith(_RESOLVER_NOTICE)]
    return "".join(f"{line}\n" for line in lines)


def _extras(names: Sequence[str]) -> list[str]:
    """Return the extras meant by names of families, tasks and extras."""
    known = metadata("pufferlib").get_all("Provides-Extra") or []
    extras: list[str] = []
    for name in names:
        if name == "all":
            extras += registry.builtin_families()
        elif _normalized(name) in known:
            extras.append(name)
        else:
            try:
                family = registry.resolve(name).family
            except UnknownNameError:
                families = {_normalized(family): family for family in registry.families()}
                found = sorted(families.get(extra, extra) for extra in {*known, *families})
                raise UnknownNameError(
                    f"There is nothing named {name!r} to install."
                    f"{suggestion(name, [*found, *registry.tasks()])} Known: all, "
                    f"{', '.join(found)}, and every task."
                ) from None
            if family is None:
                raise ArgumentError(
                    f"puffer install takes families, tasks and extras; got {name!r}, which is "
                    f"outside every family. Install what it imports with pip."
                )
            if family.name in registry.builtin_families():
                extras.append(family.name)
            elif not family.is_installed:
                raise ArgumentError(
                    f"{family.name} is a family of another distribution. Run: {family.install_line}"
                )
    return extras


def _normalized(extra: str) -> str:
    """Return an extra's name as package metadata writes it."""
    return re.sub(r"[-_.]+", "-", extra).lower()


def _pip(arguments: list[str]) -> int:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    result = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    sys.stderr.write(without_stale_notices(result.stderr, stale_pins()))
    return result.returncode
