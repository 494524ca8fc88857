"""Write the image's requirements from pyproject.toml; with --pins refresh constraints.txt first.

    python docker/lock.py            write requirements*.txt, from the extras (`make lists`)
    python docker/lock.py --pins     also pin the newest compatible versions (`make lock`)

The lists equal the arguments that `puffer install` passes to pip.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable
from pathlib import Path

from pufferlib import registry
from pufferlib.installation import AS_IT_IS, distribution_name, stale_pins

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / "constraints.txt"
# In addition to the environments: extras for training runs, clusters and other libraries.
RUN_EXTRAS = ("plot", "ray", "rllib", "sb3", "sweep", "torchrl", "video", "wandb")
DEV_EXTRAS = ("bench", "dev", "docs", "test")
# The packages that build the environments' source packages, and pufferlib itself.
BUILD = ("cython", "numpy", "poetry-core", "pybind11", "setuptools", "wheel")


def lists() -> dict[str, str]:
    """Return the text of each requirements file of the image, by its name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    brought = [line for family in registry.builtin_families() for line in extras.get(family, ())]
    stale = [line for line in brought if distribution_name(line) in stale_pins()]
    run = [*project["dependencies"], *(line for extra in RUN_EXTRAS for line in extras[extra])]
    plain = [line for line in [*brought, *run] if line not in stale and line != _torch(run)]
    dev = [line for extra in DEV_EXTRAS for line in extras[extra]]
    return {
        "requirements.txt": _text("Packages whose dependencies pip resolves: make lists", plain),
        "requirements-as-is.txt": _text(
            "Packages with stale pins, installed without dependencies: make lists",
            map(_pinned, stale),
        ),
        "requirements-build.txt": _text("Build tools of source packages: make lists", BUILD),
        "requirements-dev.txt": _text("Tests, linters, benchmarks: make lists", dev),
    }


def refresh_pins() -> None:
    """Install the newest versions of everything into a new environment, and pin them."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        python = str(Path(folder, "bin", "python"))
        torch = _pin("torch")
        written = lists()
        pip = [
            python,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--upgrade",
            "--disable-pip-version-check",
        ]
        everything = [line for text in written.values() for line in text.splitlines()]
        as_is = written["requirements-as-is.txt"].splitlines()[1:]
        plain = [line for line in everything if line not in as_is and not line.startswith("#")]
        subprocess.run([*pip, "pip", "setuptools<81", "wheel", f"torch=={torch}"], check=True)
        subprocess.run([*pip, f"torch=={torch}", *plain], check=True)
        subprocess.run([*pip, *AS_IT_IS, *as_is], check=True)
        freeze = [python, "-m", "pip", "list", "--format=freeze", "--disable-pip-version-check"]
        found = subprocess.run(freeze, check=True, capture_output=True, text=True).stdout
    head = [line for line in CONSTRAINTS.read_text().splitlines() if line.startswith("#")]
    pins = sorted((re.sub(r"\+\w+$", "", line) for line in found.split()), key=str.lower)
    _write(CONSTRAINTS, "\n".join([*head, *pins]) + "\n")


def _pin(package: str) -> str:
    """Return the version of a package in constraints.txt."""
    pins = dict(line.split("==") for line in CONSTRAINTS.read_text().splitlines() if "==" in line)
    return {_normalized(name): pin for name, pin in pins.items()}[_normalized(package)]


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _pinned(requirement: str) -> str:
    name = distribution_name(requirement)
    return f"{name}=={_pin(name)}"


def _torch(requirements: Iterable[str]) -> str:
    """Return the requirement of torch, which has a separate layer."""
    return next(line for line in requirements if distribution_name(line) == "torch")


def _text(title: str, requirements: Iterable[str]) -> str:
    return "\n".join([f"# {title}", *sorted(set(requirements), key=str.lower)]) + "\n"


def _write(path: Path, text: str) -> None:
    new = path.with_suffix(".new")
    new.write_text(text)
    os.replace(new, path)


def main() -> None:
    """Write the files that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pins", action="store_true", help="refresh constraints.txt first")
    if parser.parse_args().pins:
        refresh_pins()
    for name, text in lists().items():
        _write(ROOT / "docker" / name, text)


if __name__ == "__main__":
    main()
