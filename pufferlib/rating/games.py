"""The record of games: who played which side, and how it ended, a line of JSON each."""

import dataclasses
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from pufferlib.exceptions import ArgumentError

GAMES = "games.jsonl"
RANDOM = "random"  # the player of which ratings are counted


@dataclass(frozen=True)
class Game:
    """One game.

    A side is an agent, or a team of agents that win and lose together. The sides of a game are
    numbered from 0 in the order of the environment's agents; side 0 of a game by turns moves first.

    Attributes:
        task: the name of the environment.
        players: of each side, the name of the player; one player may have several sides.
        returns: of each side, the mean return of its agents.
        ranks: of each side, 1 for the best; equal sides have the same rank.
        steps: how long the game was.
        seed: of the environment that it was played in; None if it is not the seed's first game.
        setup: what was played besides the task, as JSON: arguments of the environment, sides. None
            if it is not known, as in the games of training.
        versions: of each side, a digest of what its player is made of: weights, the file of a
            script; "" where the name says it all. None if they are not known.
    """

    task: str
    players: tuple[str, ...]
    returns: tuple[float, ...]
    ranks: tuple[int, ...]
    steps: int
    seed: int | None = None
    setup: str | None = None
    versions: tuple[str, ...] | None = None


def ranks_of(returns: Iterable[float], tolerance: float = 1e-6) -> tuple[int, ...]:
    """Return the rank of each return, 1 for the highest; returns as close as `tolerance` tie."""
    values = list(returns)
    return tuple(1 + sum(other > value + tolerance for other in values) for value in values)


def append_games(path: Path, games: Iterable[Game]) -> None:
    """Append games to a file, which is made if there is none.

    A last line without its end, of a process that was killed while writing, is removed first.
    """
    lines = "".join(json.dumps(dataclasses.asdict(game)) + "\n" for game in games)
    with path.open("ab+") as file:
        _remove_unfinished(file)
        file.write(lines.encode())
        file.flush()
        os.fsync(file.fileno())


def _remove_unfinished(file: BinaryIO) -> None:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - 1, 0))
    if file.read(1) in (b"", b"\n"):
        return
    file.seek(0)
    file.truncate(file.read().rfind(b"\n") + 1)


def read_games(path: Path) -> list[Game]:
    """Return the games in a file, in the order in which they were added.

    A last line without its end, of a process that was killed while writing, is left out.

    Raises:
        ArgumentError: there is no such file, or a line is no game.
    """
    try:
        text = path.read_text()
    except OSError as error:
        raise ArgumentError(f"{path} cannot be read: {error.strerror}.") from error
    lines = text.split("\n")
    return [_parsed(line, path, number) for number, line in enumerate(lines[:-1], 1)]


def _parsed(line: str, path: Path, number: int) -> Game:
    try:
        values: dict[str, Any] = json.loads(line)
        values |= {name: tuple(values[name]) for name in ("players", "returns", "ranks")}
        if values.get("versions") is not None:
            values["versions"] = tuple(values["versions"])
        return Game(**values)
    except (ValueError, TypeError, KeyError) as error:
        raise ArgumentError(
            f"Line {number} of {path} is no game: {error}. Remove the line, or name another file."
        ) from error
