"""The folder of a reader who types the commands of a page in their order."""

import glob
import re
from collections.abc import Callable
from pathlib import Path

from documented_commands import ROOT, Command, parsed

# What pages call my_env.py: these files, and the names that no file has.
_MY_ENV = ("examples/your_own.py", "examples/curriculum.py", "tests/role_environments.py")
_ALIASES = """
MyEnv = Harder = make_env = Corridor
MyPolicy = TwoLayers
MyParallelEnv = Roles


def MyGame():
    from pufferlib.registry import open_spiel
    return open_spiel.make_env("open_spiel/tic_tac_toe")
"""
_MADE_BY = ("--run", "--out", "--file", "--logdir", "--picture")
_DATE = "20260101-120000"


class Reader:
    """Prepares a folder for the commands of a page.

    It has `my_env.py`, and the page's blocks of Python whose first line names their file. A run
    that a command takes, and no command before it made, is made by `make_run`.

    Args:
        page: path of the page in the repository.
        folder: an empty one, the current directory.
        make_run: makes a run in a folder, of an environment.
    """

    def __init__(self, page: str, folder: Path, make_run: Callable[[Path, str], None]) -> None:
        self._make_run = make_run
        self._env = "CartPole-v1"
        mine = "\n".join((ROOT / name).read_text() for name in _MY_ENV) + _ALIASES
        for path in (folder / "my_env.py", folder / "moved" / "my_env.py"):
            path.parent.mkdir(exist_ok=True)
            path.write_text(mine)
        for block in parsed(page)[0]:
            name = re.match(r"# (\w+\.py)\n", block.text)
            if block.language == "python" and name:
                (folder / name[1]).write_text(block.text)

    def words_of(self, command: Command) -> list[str]:
        """Return the arguments of a command, once what it takes is there.

        Patterns of paths in runs/ are expanded, as by a shell.
        """
        words = list(command.words[1:])
        env = self._environment(words)
        for before, word in zip(("", *words), words, strict=False):
            for part in word.split(","):
                if part.startswith("runs/") and before not in _MADE_BY:
                    self._make(part, env)
        if words[-1:] == ["--resume"]:
            self._make(f"runs/{env.replace('/', '-')}-*", env)
        return [path for word in words for path in _expanded(word)]

    def _environment(self, words: list[str]) -> str:
        """Return the environment of a command, or the one that was trained last."""
        name, env = (*words, "", "")[:2]
        if name in ("train", "eval") and env != "all" and re.match(r"\w", env):
            self._env = env
        if name in ("match", "rank") and self._env == "CartPole-v1":
            self._env = "open_spiel/tic_tac_toe"
        return self._env

    def run(self, name: str) -> str:
        """Return the folder of a run that a page names; of one with a date, whatever the date."""
        pattern = name.replace(_DATE, "*")
        self._make(pattern, self._env)
        return min(glob.glob(pattern))

    def _make(self, word: str, env: str) -> None:
        """Make the run that a path is in, unless it is there.

        Its folder is the first two parts of the path, or all up to the last folder with a wildcard.
        """
        parts = Path(word).parts
        patterns = [at for at, part in enumerate(parts) if "*" in part and not Path(part).suffix]
        folder = Path(*parts[: max([1, *patterns]) + 1])
        if not glob.glob(str(folder)):
            self._make_run(Path(str(folder).replace("*", _DATE)), env)


def _expanded(word: str) -> list[str]:
    """Return the files that a pattern matches, or the word itself."""
    return (word.startswith("runs/") and sorted(glob.glob(word))) or [word]
