"""Levels of MiniHack: those that are given as text or file, and those of MiniGrid."""

import subprocess
import tempfile
from pathlib import Path
from typing import Any

from pufferlib.exceptions import ArgumentError


def checked_level(des_file: str) -> str:
    """Return the text of a level, checked with NetHack's level compiler.

    MiniHack would print the compiler's error and play another level.
    """
    from minihack.base import HACKDIR, PATH_DAT_DIR

    if des_file.endswith(".des"):
        places = [Path(des_file), Path(PATH_DAT_DIR, des_file)]
        path = next((place for place in places if place.is_file()), None)
        if path is None:
            raise ArgumentError(
                f"There is no file {des_file!r}, neither in the working directory nor in "
                f"{PATH_DAT_DIR}. Give the path of a .des file as des_file, or the text of a level."
            )
        des_file = path.read_text()
    with tempfile.TemporaryDirectory(prefix="minihack-") as directory:
        Path(directory, "mylevel.des").write_text(des_file)
        compiler = [str(Path(HACKDIR, "lev_comp")), "mylevel.des"]
        run = subprocess.run(compiler, cwd=directory, capture_output=True, text=True, check=False)
        if Path(directory, "mylevel.lev").is_file():
            return des_file
    reason = run.stderr.strip() or 'no level named "mylevel"'
    raise ArgumentError(
        f"des_file is not what NetHack's level compiler takes: {reason}. Give the text of a level "
        f"in NetHack's description language, or the path of a .des file."
    )


def crossing(name: str) -> str:
    """Return the MiniGrid task that the MiniHack task `name` is built on, with its own size.

    MiniHack asks every MiniGrid task for a size; MiniGrid 3 refuses where the task has one.
    """
    import gymnasium
    import minigrid  # noqa: F401  (registers its tasks)

    theirs = gymnasium.spec(name.replace("MiniHack", "MiniGrid"))
    ours = f"pufferlib/{theirs.id}"
    if ours not in gymnasium.registry:
        gymnasium.register(ours, f"{__name__}:_make_crossing", kwargs=theirs.kwargs)
    return ours


def _make_crossing(width: int, height: int, **kwargs: Any) -> Any:
    from minigrid.envs.crossing import CrossingEnv

    return CrossingEnv(**kwargs)
