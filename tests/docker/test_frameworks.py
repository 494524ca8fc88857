"""The tests of learning libraries, with what the image has installed."""

import re
import tomllib

import pytest
from docker_engine import ROOT, in_image

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(3000)]
SCRIPT = 'pip install --quiet --constraint constraints.txt "$@" && exec pytest tests/frameworks'


def test_the_tests_of_learning_libraries_pass_and_none_is_skipped():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    tools = project["optional-dependencies"]["test"]
    flags = ["--env", "PUFFERLIB_QUIET=1", "--shm-size", "1g"]  # Ray's object store
    for name in ("constraints.txt", "pyproject.toml", "tests"):  # pufferlib is the image's
        flags += ["--volume", f"{ROOT / name}:/workspace/{name}:ro"]
    text = in_image("bash", "-c", SCRIPT, "bash", *tools, flags=tuple(flags), timeout=2900)
    summary = text.splitlines()[-1]
    print(summary)
    assert re.fullmatch(r"=+ \d+ passed, \d+ deselected in .+ =+", summary)
