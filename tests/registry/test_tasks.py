"""Each task that is listed can be made, keeps the contract, and writes nothing where one stands."""

import os
import re
import subprocess

import pytest
from strict_python import STRICT_PYTHON

from pufferlib import registry
from pufferlib.registry.pokemon_red import ROM_VARIABLE

pytestmark = [pytest.mark.tasks, pytest.mark.slow, pytest.mark.timeout(600)]

# A level of one row for MiniHack's custom tasks, which have none.
LEVEL = """
MAZE: "mylevel", ' '
FLAGS:premapped
GEOMETRY:center,center
MAP
-----
|...|
-----
ENDMAP
STAIR:(3,1),down
"""
SCRIPT = f"""
import sys, traceback
from pufferlib import registry
from pufferlib.testing import check_env

module = registry.load(sys.argv[1])
for task in sys.argv[2:]:
    print("begins", task, flush=True)
    kwargs = dict(des_file={LEVEL!r}) if "-Custom-" in task else dict()
    try:
        is_seeded = task not in module.FAMILY.unseeded_tasks
        check_env(module.env_creator(task), steps=4, is_deterministic=is_seeded, **kwargs)
        print("passed", task, flush=True)
    except Exception:
        traceback.print_exc()
"""


@pytest.mark.parametrize("name", registry.builtin_families())
def test_each_task_keeps_the_contract(name, tmp_path):
    tasks = tried(registry.load(name).FAMILY)
    result = subprocess.run(
        [*STRICT_PYTHON, "-c", SCRIPT, name, *tasks],
        capture_output=True,
        text=True,
        timeout=590,
        check=False,
        cwd=tmp_path,
    )
    passed = re.findall(r"^passed (.*)$", result.stdout, re.MULTILINE)
    assert passed == tasks, f"{result.stdout[-200:]}\n{result.stderr[-6000:]}"
    assert result.returncode == 0
    assert list(tmp_path.iterdir()) == []  # nothing is written to where one stands


def tried(family):
    """Return the tasks of a family, but for those that need a file, and each Freedoom map once.

    ViZDoom has a task for each of five skills, which is a number that the engine is given.
    """
    tasks = list(family.tasks)
    if ROM_VARIABLE not in os.environ:
        tasks = [task for task in tasks if task != "PokemonRed-v0"]
    maps = sorted({task.partition("-S")[0] for task in tasks if "Freedoom" in task})
    skill_of = {name: f"{name}-S{index % 5 + 1}-v0" for index, name in enumerate(maps)}
    return [task for task in tasks if skill_of.get(task.partition("-S")[0], task) == task]
