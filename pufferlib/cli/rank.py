"""`puffer rank`."""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pufferlib.cli.match import add_match_options, options_of, print_repeated
from pufferlib.cli.parser import Parser
from pufferlib.exceptions import ArgumentError, NotInstalledError
from pufferlib.figures import load_matplotlib
from pufferlib.matches import rank
from pufferlib.matches.contenders import FORMS
from pufferlib.matches.exploitability import nash_conv
from pufferlib.matches.ranking import PICTURE
from pufferlib.rating import Ratings, draw


def add_arguments(parser: Parser, words: Sequence[str]) -> None:
    """Add the options of the command."""
    parser.add_argument("players", nargs="+", metavar="PLAYER", help=FORMS)
    add_match_options(parser, words)
    parser.add_argument(
        "--no-random",
        action="store_true",
        help="leave out the random player, whose rating is 0 otherwise",
    )
    parser.add_argument(
        "--file",
        type=Path,
        metavar="FILE.jsonl",
        help="of the games, or a folder for it. Games that it has are not played again, so the "
        "same command continues after Ctrl+C, also with more players or games (default "
        "runs/rank-TASK/games.jsonl)",
    )
    parser.add_argument(
        "--picture",
        type=Path,
        metavar="FILE",
        help=f"a .svg, .png or .pdf of the ratings (default {PICTURE} next to the games)",
    )
    parser.add_argument(
        "--nash-conv",
        action="store_true",
        help="play no games: print the NashConv of runs, and of the average of them all, by "
        "OpenSpiel's exact best response; for small games such as open_spiel/kuhn_poker",
    )


def run(arguments: argparse.Namespace) -> int:
    """Play, and print and draw the ratings; return the exit status."""
    console = Console(highlight=False)
    if arguments.nash_conv:
        return _print_nash_conv(console, arguments)
    if arguments.picture is not None:  # before the games
        load_matplotlib(arguments.picture, "--picture")
    with console.status("Playing") as status:
        try:
            ranking = rank(
                arguments.players,
                arguments.games,
                arguments.file,
                arguments.seed,
                with_random=not arguments.no_random,
                progress=lambda done, total: status.update(f"Played {done} of {total} games"),
                **options_of(arguments),
            )
        except KeyboardInterrupt:
            console.print("Stopped. The games are kept: the same command continues.")
            raise
    known = len(ranking.games) - ranking.new
    console.print(
        f"[bold]{escape(ranking.games[0].task)}[/bold], {len(ranking.games)} games in "
        f"{escape(str(ranking.path))}: {ranking.new} new, {known} from before",
        soft_wrap=True,
    )
    _print_ratings(console, ranking.ratings)
    print_repeated(console, ranking.games)
    picture = arguments.picture or ranking.path.with_name(PICTURE)
    try:
        draw(ranking.ratings, picture)
    except NotInstalledError as error:
        if arguments.picture is not None:
            raise
        console.print(f"[yellow]No picture: {escape(str(error))}", soft_wrap=True)
    else:
        console.print(f"Drawn {escape(str(picture))}", soft_wrap=True)
    return 0


def _print_ratings(console: Console, ratings: Ratings) -> None:
    table = _table("", "player", "rating [95% interval]", "score", "games")
    for number, each in enumerate(ratings.players, 1):
        rating = f"{each.rating:.0f}  [{each.low:.0f}, {each.high:.0f}]"
        rating = "0" if each.name == ratings.anchor else escape(rating)
        table.add_row(str(number), escape(each.name), rating, f"{each.score:.3f}", str(each.games))
    console.print(table)
    console.print("\nScore of the row against the column / games:")
    size = range(len(ratings.payoff.players))
    table = _table("", *(str(number + 1) for number in size))
    for row in size:
        table.add_row(str(row + 1), *(_cell(ratings, row, column) for column in size))
    console.print(table)
    console.print()
    for seat in ratings.seat_advantage:
        console.print(
            f"Side {seat.seat} of {seat.sides}: {seat.rating:+.0f} "
            + escape(f"[{seat.low:+.0f}, {seat.high:+.0f}], score {seat.score:.3f}")
        )
    if len(ratings.groups) > 1:
        groups = "; ".join(", ".join(group) for group in ratings.groups)
        console.print(
            f"[yellow]Not all players have met: ratings of {escape(groups)} cannot be compared.",
            soft_wrap=True,
        )
    if ratings.misfit.poor:
        console.print(f"[yellow]{escape(str(ratings.misfit))}", soft_wrap=True)


def _cell(ratings: Ratings, row: int, column: int) -> str:
    mean = float(ratings.payoff.score[row, column])
    return "" if math.isnan(mean) else f"{mean:.3f} / {ratings.payoff.games[row, column]}"


def _print_nash_conv(console: Console, arguments: argparse.Namespace) -> int:
    ignored = {"--picture": arguments.picture, "--file": arguments.file}
    for flag, value in ignored.items():
        if value is not None:
            raise ArgumentError(f"{flag} has no effect with --nash-conv: no games are played.")
    found = nash_conv(arguments.players, arguments.env, arguments.overrides, arguments.greedy)
    table = _table("NashConv", "policy")
    for name, value in found.items():
        table.add_row(f"{value:.4f}", escape(name))
    console.print(table)
    return 0


def _table(*headings: str) -> Table:
    """Return a table without rows; the column of players is on the left."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        is_text = heading in ("player", "policy")
        table.add_column(escape(heading), justify="left" if is_text else "right")
    return table
