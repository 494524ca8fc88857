"""What every registry module has, and what the registry says to a wrong name."""

import os
import pickle
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import pufferlib
from pufferlib import registry
from pufferlib.cli.install import distribution_name
from pufferlib.exceptions import NotInstalledError, UnknownNameError
from pufferlib.registry import Family
from pufferlib.testing import check_env

ROOT = Path(pufferlib.__file__).parent.parent
FAMILIES = registry.families()


@pytest.mark.parametrize("name", FAMILIES)
def test_a_module_has_what_every_module_has(name):
    module = registry.load(name)
    assert module.FAMILY.name == name
    assert module.FAMILY.default in module.FAMILY.tasks
    assert set(module.FAMILY.unseeded_tasks) <= set(module.FAMILY.tasks)
    for heading in ("Source:", "Licence:", "Install:", "Deterministic"):
        assert heading in module.__doc__
    assert callable(module.Policy)
    with pytest.raises(AttributeError, match="no attribute 'Polcy'"):
        _ = module.Polcy


@pytest.mark.parametrize("name", FAMILIES)
def test_the_first_sample_keeps_the_contract(name):
    module = registry.load(name)
    creator = pickle.loads(pickle.dumps(module.env_creator(module.FAMILY.samples[0])))
    check_env(creator)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_wrong_task_suggests_the_nearest(name):
    family = registry.load(name).FAMILY
    wrong = family.default[:-1] + "!"
    with pytest.raises(UnknownNameError, match=f"Did you mean .*{re.escape(family.default)}"):
        registry.load(name).make_env(wrong)


def test_families_and_tasks_resolve_and_anything_else_suggests_the_nearest():
    assert registry.resolve("nethack")[1] == "NetHackScore-v0"
    module, task = registry.resolve("squared")
    assert (module.FAMILY.name, task) == ("ocean", "squared")
    with pytest.raises(UnknownNameError, match=r"no environment 'nethak'\. Did you mean 'nethack'"):
        registry.resolve("nethak")
    with pytest.raises(UnknownNameError, match=r"no environment family 'ocan'.*'ocean'"):
        registry.load("ocan")


def test_an_uninstalled_environment_says_how_to_install_it():
    family = Family("crafter", package="crafter_is_not_here", default="a", tasks=("a",))
    with pytest.raises(
        NotInstalledError, match=r"crafter is not installed. Run: make install ENV=crafter"
    ):
        family.check("a")


def test_each_task_belongs_to_one_family():
    tasks = [task for name in FAMILIES for task in registry.load(name).FAMILY.tasks]
    assert len(tasks) == len(set(tasks))
    assert not set(tasks) & set(FAMILIES)


def test_families_extras_and_constraints_agree():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = extras["optional-dependencies"]
    pinned = {
        line.partition("==")[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    }
    for name in FAMILIES:
        family = registry.load(name).FAMILY
        assert (family.package is None) == (name not in extras)
        assert set(family.stale_pins) <= {distribution_name(r) for r in extras.get(name, ())}
    for requirements in extras.values():
        for requirement in requirements:
            assert distribution_name(requirement).replace("_", "-") in pinned


def test_pip_complains_of_no_package_but_those_with_stale_pins():
    check = [sys.executable, "-m", "pip", "check", "--disable-pip-version-check"]
    told = subprocess.run(check, capture_output=True, text=True, check=False).stdout
    known = {package for name in FAMILIES for package in registry.load(name).FAMILY.stale_pins}
    complaints = [line for line in told.splitlines() if " requires " in line or " has " in line]
    others = [line for line in complaints if distribution_name(line) not in known]
    assert others == []


def test_the_page_of_environments_is_what_the_modules_say():
    script = "import environments; print(environments.page(), end='')"
    found = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT / "docs",
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    page = (ROOT / "docs" / "environments.md").read_text()
    assert page == found.stdout, "Run: python docs/environments.py"
    for name in FAMILIES:
        assert (ROOT / "docs" / "images" / "environments" / f"{name}.png").is_file()
        assert f"`{name}`" in (ROOT / "README.md").read_text()
