"""Draw ratings, and the payoff matrix next to them."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pufferlib.figures import load_matplotlib, save
from pufferlib.rating.ratings import Payoff, Ratings

_STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "svg.fonttype": "none",
}
_BLUE, _GRAY, _RED = "#0072B2", "#8c8c8c", "#B2182B"
_LONGEST_NAME = 28
_WITH_COUNTS = 12  # players; with more there is room for one number in a cell
# Inches.
_CELL, _SMALL_CELL, _RATINGS, _NUMBERS = 0.55, 0.34, 3.4, 1.5
_TITLE, _CHARACTER, _LINE, _MARGIN = 2.9, 0.085, 0.2, 0.25


def draw(ratings: Ratings, path: Path) -> None:
    """Draw the ratings with their intervals, best first, and the payoff matrix in the same rows.

    Players are numbered: a column of the matrix has the number of its player.

    Args:
        ratings: the result of `fit`.
        path: the suffix is the format: .png, .svg or .pdf.

    Raises:
        NotInstalledError: matplotlib is missing.
        ArgumentError: the format is unknown, or `path` cannot be written.
    """
    matplotlib = load_matplotlib(path)
    names = _labels(ratings.payoff.players)
    count, longest = len(names), max(map(len, names)) * _CHARACTER
    cell = _CELL if count <= _WITH_COUNTS else _SMALL_CELL
    side = count * cell
    widths = (longest + _MARGIN, _RATINGS, _NUMBERS, max(side, _TITLE), _MARGIN)
    notes = _notes(ratings, round(sum(widths) / _CHARACTER))
    heights = (_MARGIN + (len(notes) + 4) * _LINE, side, 4 * _LINE)
    width, height = sum(widths), sum(heights)
    with matplotlib.rc_context(_STYLE):
        figure = matplotlib.figure.Figure(figsize=(width, height), dpi=150)  # without a display

        def panel(left: float, size: float) -> Any:
            box = (left / width, heights[0] / height, size / width, side / height)
            return figure.add_axes(box)

        _draw_ratings(panel(widths[0], _RATINGS), ratings, names)
        _draw_payoff(panel(sum(widths[:3]), side), ratings.payoff)
        for line, (text, color) in enumerate(reversed(notes)):
            y = (_MARGIN + line * _LINE) / height
            figure.text(_MARGIN / width, y, text, color=color, fontsize=9)
        save(figure, path)


def _labels(names: Sequence[str]) -> list[str]:
    """Return numbered names, the middle of long ones left out if they stay different."""
    head, tail = _LONGEST_NAME // 2 - 1, _LONGEST_NAME // 2
    short = [
        name if len(name) <= _LONGEST_NAME else f"{name[:head]}…{name[-tail:]}" for name in names
    ]
    labels = short if len(set(short)) == len(names) else names
    return [f"{label}   {number}" for number, label in enumerate(labels, 1)]


def _notes(ratings: Ratings, characters: int) -> list[tuple[str, str]]:
    """Return lines of text with their colors for below the panels."""
    notes = []
    if len(ratings.groups) > 1:
        text = (
            "No games connect the players above and below a dashed line: their ratings cannot be "
            "compared."
        )
        notes.append((text, _RED))
    if ratings.misfit.poor:
        notes.append((str(ratings.misfit), _RED))
    for seat in ratings.seat_advantage:
        if (seat.sides, seat.seat) == (2, 0):
            limits = f"[{seat.low:+.0f}, {seat.high:+.0f}]"
            text = f"Advantage of side 0, which moves first in games by turns: {seat.rating:+.0f} "
            notes.append((f"{text} {limits} Elo points", "black"))
    return [(line, color) for text, color in notes for line in textwrap.wrap(text, characters)]


def _draw_ratings(panel: Any, ratings: Ratings, names: Sequence[str]) -> None:
    values = np.array([[player.rating, player.low, player.high] for player in ratings.players])
    rating, low, high = values.T
    rows = range(len(names))
    panel.errorbar(
        rating, rows, xerr=(rating - low, high - rating), fmt="o", color=_BLUE, capsize=3, ms=5
    )
    zero = f"{ratings.anchor} = 0" if ratings.anchor else "mean = 0"
    panel.axvline(0, color=_GRAY, linewidth=1)
    panel.set_xlabel(f"Elo points ({zero})")
    panel.set_title("Rating and 95% interval", loc="left")
    panel.set_yticks(rows, names)
    panel.set_ylim(len(names) - 0.5, -0.5)
    panel.tick_params(axis="y", length=0)
    panel.grid(axis="x", color="#e5e5e5", linewidth=0.8)
    panel.set_axisbelow(True)
    panel.spines[["top", "right", "left"]].set_visible(False)
    for row, player in enumerate(ratings.players):
        limits = f"  [{round(player.low)}, {round(player.high)}]"
        text = f"{round(player.rating)}{limits if player.name != ratings.anchor else ''}"
        place = panel.get_yaxis_transform()
        panel.text(1.03, row, text, transform=place, va="center", fontsize=9)
        if row and player.group != ratings.players[row - 1].group:
            panel.axhline(row - 0.5, color=_RED, linewidth=1, linestyle="--")


def _draw_payoff(panel: Any, payoff: Payoff) -> None:
    from matplotlib import colormaps

    colors = colormaps["RdBu"].with_extremes(bad="#eeeeee")
    panel.imshow(payoff.score, cmap=colors, vmin=0, vmax=1, aspect="auto")
    panel.set_title("Score of row against column, %", loc="left")
    count = len(payoff.players)
    panel.set_xticks(range(count), range(1, count + 1))
    panel.set_yticks([])
    panel.tick_params(axis="x", length=0, labeltop=True, labelbottom=False)
    borders = np.arange(count - 1) + 0.5
    panel.set_xticks(borders, minor=True)
    panel.set_yticks(borders, minor=True)
    panel.grid(which="minor", color="white", linewidth=1.5)
    panel.tick_params(which="minor", length=0)
    panel.spines[:].set_visible(False)
    with_counts = count <= _WITH_COUNTS
    for row, column in np.argwhere(payoff.games > 0):
        score, games = payoff.score[row, column], payoff.games[row, column]
        text = f"{100 * score:.0f}"
        color = "white" if abs(score - 0.5) > 0.3 else "black"
        low = 0.18 if with_counts else 0
        panel.text(column, row - low, text, ha="center", va="center", color=color, fontsize=9)
        if with_counts:
            panel.text(
                column, row + 0.25, f"n={games}", ha="center", va="center", color=color, fontsize=6
            )
    met = payoff.games[payoff.games > 0]
    if not with_counts and len(met):
        games = f"{met.min()}" if met.min() == met.max() else f"{met.min()} to {met.max()}"
        panel.set_xlabel(f"Games of a pair: {games}")
