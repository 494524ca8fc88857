"""The table of wheels separates what pip can build from what cannot be installed."""

import importlib.util
from pathlib import Path

import pytest

from pufferlib import registry

PATH = Path(__file__).parents[1] / "tools" / "wheels.py"


@pytest.fixture
def wheels():
    spec = importlib.util.spec_from_file_location("wheels", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_package_with_wheels_for_some_versions_only_is_missing_for_the_others(wheels):
    missing = {
        "all": {"3.11": [], "3.12": []},
        "built": {"3.11": ["sdist"], "3.12": ["sdist"]},
        "late": {"3.11": ["sdist"], "3.12": ["sdist", "binary"]},
        "more": {"3.11": [], "3.12": []},
    }
    assert wheels.table(missing).splitlines()[2:] == [
        "| `all`, `more` |  | yes | yes |",
        "| `built` | `sdist` | yes | yes |",
        "| `late` | `sdist` | yes | no wheel of `binary` |",
    ]


def test_the_table_of_the_docs_has_every_family_once(wheels):
    table = wheels.PAGE.read_text().partition(wheels.BEGIN)[2].partition(wheels.END)[0]
    families = [name for row in table.splitlines()[3:] for name in row.split("|")[1].split(", ")]
    assert sorted(name.strip(" `") for name in families) == sorted(registry.builtin_families())


def test_pip_that_fails_otherwise_is_not_a_missing_wheel(wheels, monkeypatch):
    monkeypatch.setattr(wheels, "ROOT", Path("/nowhere"))  # without constraints
    with pytest.raises(RuntimeError, match=r"pip failed for numpy on Python 3.12: .*/nowhere"):
        wheels.has_wheel("numpy", "3.12", False)
