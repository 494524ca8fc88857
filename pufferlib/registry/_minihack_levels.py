"""Levels of MiniHack: those that are given as text or file, and those of MiniGrid."""

import copy
import functools
import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

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


def compile_levels_alone(directory: str) -> Callable[[str], None]:
    """Return a substitute for `MiniHack._patch_nhdat`, for levels that change at every reset.

    MiniHack's shell script packs a level with other data of NetHack each time. Here those are
    packed once; NetHack finds the level in another file. A reset takes a third of the time.

    Args:
        directory: of the game, in which the script has been run.
    """
    from minihack.base import HACKDIR

    library = Path(directory, "lib")
    if (library / "mylevel.lev").exists():
        os.replace(library / "mylevel.lev", Path(directory, "mylevel.lev"))
    names = sorted(path.name for path in library.iterdir())
    subprocess.run([str(Path(HACKDIR, "dlb")), "cf", "nhdat", *names], cwd=library, check=True)
    os.replace(library / "nhdat", Path(directory, "nhdat"))
    return functools.partial(compile_level, directory)


def compile_level(directory: str, des_file: str) -> None:
    """Compile a level into the folder of a game whose data has none.

    Raises:
        RuntimeError: there is no level then, so NetHack would play another one; says why.
    """
    from minihack.base import HACKDIR

    level = Path(directory, "mylevel.lev")
    # A new file: to empty the last one takes milliseconds on some disks.
    level.unlink(missing_ok=True)
    compiler = [str(Path(HACKDIR, "lev_comp"))]
    run = subprocess.run(
        compiler, cwd=directory, input=des_file, capture_output=True, text=True, check=False
    )
    if not (level.is_file() and level.stat().st_size):
        reason = run.stderr.strip() or f"it ended with {run.returncode} and wrote no mylevel.lev"
        raise RuntimeError(
            f"NetHack's level compiler could not make the level of an episode: {reason}. Check "
            f"that there is space left in {directory}."
        )


class Rooms:
    """Draws the levels of one native game of MiniHack, as `MiniGridHack.reset` does.

    Args:
        game: an environment of MiniHack with rooms of MiniGrid; used as a pattern.
        directory: of the native game.
    """

    def __init__(self, game: Any, directory: str) -> None:
        self._game, self._directory = copy.copy(game), directory
        self._game.nethack = None  # is closed
        self._rooms = copy.deepcopy(game.minigrid_env.unwrapped)
        self._rooms.np_random = np.random.default_rng()
        self._game.minigrid_env = self._rooms

    def __call__(self, seed: int | None) -> None:
        """Compile the next level, drawn with this seed if given."""
        if seed is not None:
            self._rooms.np_random = np.random.default_rng(seed)
        compile_level(self._directory, self._game.get_env_desc())


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
