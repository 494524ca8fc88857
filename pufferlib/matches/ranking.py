"""A round robin, and the ratings of its players."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

from pufferlib.arguments import whole_number
from pufferlib.exceptions import ArgumentError
from pufferlib.matches.match import SEED, Arena, ArenaOptions, open_arena
from pufferlib.matches.schedule import missing
from pufferlib.rating import Game, Ratings, append_games, fit, read_games
from pufferlib.rating.games import GAMES, RANDOM
from pufferlib.runs.folder import CONFIG, RUNS, make_folder

PICTURE = "ratings.svg"
Progress = Callable[[int, int], None]  # gets the games played by now, and how many there will be


@dataclass(frozen=True)
class Ranking:
    """The result of a round robin.

    Attributes:
        ratings: of the players, and of others whose games are in the file.
        path: of the file of games.
        games: all in the file.
        new: how many of them were played now.
    """

    ratings: Ratings
    path: Path
    games: tuple[Game, ...]
    new: int


def rank(
    players: Sequence[str],
    games: int = 100,
    path: Path | str | None = None,
    seed: int = SEED,
    with_random: bool = True,
    progress: Progress | None = None,
    **options: Unpack[ArenaOptions],
) -> Ranking:
    """Play a round robin, each pairing in all seats, and rate the players.

        ranking = pufferlib.matches.rank(["runs/one", "runs/two", "perfect"], games=200)
        ranking.ratings.players

    Games are added to a file, and those that it has are not played again: a ranking that was
    stopped continues, and later ones may have more players or more games.

    Args:
        players: see `pufferlib.matches.match.open_arena`.
        games: of each pairing; rounded up, so that each player has each side equally often.
        path: of the file, or of a folder for `games.jsonl`. None: runs/rank-TASK/games.jsonl.
        seed: of the games.
        with_random: add the random player, whose rating is 0.
        progress: called as games end.
        **options: those of `ArenaOptions`: `env="open_spiel/hex", is_greedy=True`.

    Raises:
        ActionError: a scripted player raised an error, or chose an action that is not legal; games
            that were played before are in the file.
        ArgumentError: the file is not writable, or has games of another environment, of other
            arguments or sides, or of players whose weights or scripts were others; and see
            `open_arena`.
        UnknownNameError, CheckpointError: see there.
    """
    games = whole_number("games", games)
    players = [*players, *([RANDOM] if with_random and RANDOM not in players else [])]
    with open_arena(players, **options) as arena:
        file = _file(path, arena)
        played = read_games(file)
        arena.check(played, file, "--file")
        schedule, before = arena.schedule(games, seed), len(played)
        left = [group for group in (missing(each, played) for each in schedule) if group]
        new = sum(map(len, left))

        def keep(ended: list[Game]) -> None:
            played.extend(ended)
            append_games(file, ended)
            if progress is not None:
                progress(len(played) - before, new)

        arena.play(left, keep)
    return Ranking(fit(played), file, tuple(played), new)


def _file(path: Path | str | None, arena: Arena) -> Path:
    """Return the file of games; make its folder."""
    if path is None:
        path = RUNS / f"rank-{arena.run.source.label}"
    path = Path(path)
    path = path if path.suffix == ".jsonl" else path / GAMES
    check_writable(path, "--file")
    return path


def check_writable(path: Path, flag: str) -> None:
    """Make the folder of a file of games, and the file.

    Raises:
        ArgumentError: that is not possible, or the file is the record of a run's training; says to
            name another with `flag`.
    """
    if path.name == GAMES and (path.parent / CONFIG).exists():
        raise ArgumentError(
            f"{path} is the record of the games of a run's training, and a resume cuts it after "
            f"those of the checkpoint. Name another file with {flag}; to go on from these games, a "
            f"copy."
        )
    make_folder(path.parent, flag)
    try:
        path.open("a").close()
    except OSError as error:
        raise ArgumentError(
            f"{path} cannot be written: {error.strerror}. Name another file with {flag}."
        ) from error
