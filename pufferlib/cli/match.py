"""`puffer match`."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pufferlib.arguments import whole_number
from pufferlib.cli.parser import Parser, add_settings
from pufferlib.config import Config
from pufferlib.matches import score
from pufferlib.matches.contenders import FORMS
from pufferlib.matches.match import NUM_ENVS, SEED, ArenaOptions, open_arena
from pufferlib.matches.ranking import check_writable
from pufferlib.matches.score import repeated
from pufferlib.rating import Game, append_games, read_games


def add_arguments(parser: Parser, words: Sequence[str]) -> None:
    """Add the options of the command."""
    parser.add_argument("players", nargs=2, metavar="PLAYER", help=FORMS)
    add_match_options(parser, words)
    parser.add_argument(
        "--games-file", type=Path, metavar="FILE", help="append the games to FILE, as JSON lines"
    )


def add_match_options(parser: Parser, words: Sequence[str]) -> None:
    """Add the options that `puffer match` and `puffer rank` share."""
    parser.add_argument("--env", help="what is played (default: the environment of the runs)")
    parser.add_argument(
        "--games",
        type=int,
        default=100,
        help="of each pairing; rounded up, so that each player has each side equally often "
        "(default 100)",
    )
    parser.add_argument("--seed", type=int, default=SEED, help="of the games (default %(default)s)")
    parser.add_argument(
        "--greedy",
        action="store_true",
        help="runs take the most probable actions (default: they sample)",
    )
    parser.add_argument(
        "--sides",
        choices=("auto", "agents", "teams"),
        default="auto",
        help="each agent is a side, or agents whose names differ only in the number at their end; "
        "auto: teams if there are two or more, not each of one agent",
    )
    parser.add_argument(
        "--num-envs",
        type=int,
        default=NUM_ENVS,
        help="games that are played at once, in this process (default %(default)s)",
    )
    parser.add_argument(
        "--device", default="cpu", help="that networks run on: cpu, cuda, auto (default cpu)"
    )
    add_settings(parser, words, ("env.kwargs",), Config())


def options_of(arguments: argparse.Namespace) -> ArenaOptions:
    """Return the options of a match."""
    return {
        "env": arguments.env,
        "overrides": arguments.overrides,
        "sides": arguments.sides,
        "is_greedy": arguments.greedy,
        "num_envs": arguments.num_envs,
        "device": arguments.device,
    }


def run(arguments: argparse.Namespace) -> int:
    """Play, and print the score of the first player; return the exit status."""
    console = Console(highlight=False)
    games: list[Game] = []
    if arguments.games_file is not None:
        check_writable(arguments.games_file, "--games-file")
    with open_arena(arguments.players, **options_of(arguments)) as arena:
        if arguments.games_file is not None:
            arena.check(read_games(arguments.games_file), arguments.games_file, "--games-file")
        schedule = arena.schedule(whole_number("games", arguments.games), arguments.seed)
        total = sum(map(len, schedule))
        with console.status(f"Playing {total} games") as status:

            def keep(ended: list[Game]) -> None:
                games.extend(ended)
                if arguments.games_file is not None:
                    append_games(arguments.games_file, ended)
                status.update(f"Played {len(games)} of {total} games")

            arena.play(schedule, keep)
        task, (player, other), num_sides = arena.task, arena.names, arena.num_sides
    console.print(
        f"[bold]{escape(task)}[/bold], {len(games)} games, seed {arguments.seed}: "
        f"[bold]{escape(player)}[/bold] against [bold]{escape(other)}[/bold]",
        soft_wrap=True,
    )
    console.print(_table(games, player, other, num_sides))
    print_repeated(console, games)
    return 0


def print_repeated(console: Console, games: Sequence[Game]) -> None:
    """Print a line if players seem to repeat a game, which makes intervals too narrow."""
    found = repeated(games)
    if found:
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        console.print(
            f"[yellow]All games of {escape(' against '.join(found[0]))}{more} had the same "
            f"returns and length: greedy policies, and scripts that draw nothing, repeat a game "
            f"that has no chance. Intervals are then too narrow; leave --greedy out, or let a "
            f"player draw.",
            soft_wrap=True,
        )


def _table(games: Sequence[Game], player: str, other: str, num_sides: int) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("", "score [95% interval]", "won", "tied", "lost", "return", "steps"):
        table.add_column(escape(heading), justify="left" if heading == "" else "right")
    for side in (None, *range(num_sides)):
        table.add_row(
            "all" if side is None else f"side {side}", *_cells(games, player, other, side)
        )
    return table


def _cells(games: Sequence[Game], player: str, other: str, side: int | None) -> list[str]:
    own = score(games, player, other, side)
    low, high = own.interval()
    on_side = [
        (game.returns[index], game.steps)
        for game in games
        for index, name in enumerate(game.players)
        if name == player and side in (None, index)
    ]
    returns, steps = (sum(column) / len(on_side) for column in zip(*on_side, strict=True))
    return [
        escape(f"{own.mean:.3f}  [{low:.3f}, {high:.3f}]"),
        *(str(count) for count in (own.wins, own.ties, own.losses)),
        f"{returns:.2f}",
        f"{steps:.1f}",
    ]
