"""The needs of a family, compared with what its extra installs."""

import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import pufferlib
from pufferlib import registry
from pufferlib.installation import distribution_name
from pufferlib.registry import Family

PROJECT = tomllib.loads((Path(pufferlib.__file__).parents[1] / "pyproject.toml").read_text())
PROJECT = PROJECT["project"]
FAMILIES = [registry.load(name).FAMILY for name in registry.builtin_families()]
BROUGHT_BY = packages_distributions()
IMPORTS = [pytest.param(f, name, id=f"{f.name}: {name}") for f in FAMILIES for name in f.imports]
# What an extra brings for pip to build other packages with, or for an environment to do more.
NOT_NEEDED = {
    "classic_control": {"pygame-ce"},  # draws
    "crafter": {"numba"},  # a reset takes 0.05 s instead of 0.8 s
    "microrts": {"poetry-core"},
    "minihack": {"pybind11"},
    "nethack": {"pybind11"},
    "nmmo": {"cython", "setuptools"},
}


def normalized(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def asked_for(requirements):
    """Return the distributions in requirements such as `nle>=1.3`."""
    return {normalized(distribution_name(requirement)) for requirement in requirements}


def distributions(names):
    """Return the distributions that bring what is imported."""
    return {normalized(BROUGHT_BY[name][0]) for name in names}


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_family_needs_what_its_extra_installs(family):
    brought = asked_for(PROJECT["optional-dependencies"].get(family.name, ()))
    needed = distributions(family.imports)
    assert needed - brought <= {"gymnasium"}
    assert brought - needed == NOT_NEEDED.get(family.name, set())


@pytest.mark.parametrize(("family", "name"), IMPORTS)
def test_a_family_is_not_installed_without_any_of_its_imports(family, name, monkeypatch):
    assert family.is_installed
    monkeypatch.setitem(sys.modules, name, None)  # as if it were not there
    assert not family.is_installed


def test_what_pufferlib_asks_for_itself_is_no_need():
    always = asked_for(PROJECT["dependencies"])
    for family in FAMILIES:
        assert not distributions(family.needs) & always


def test_a_family_of_ours_needs_nothing():
    assert Family("ours", package=None, default="a", tasks=("a",)).is_installed
