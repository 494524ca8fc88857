"""Draw ratings and the payoff matrix."""

from pathlib import Path

from pufferlib.exceptions import ArgumentError, NotInstalledError
from pufferlib.rating.ratings import Ratings

_SUFFIXES = (".png", ".svg", ".pdf")


def draw(ratings: Ratings, path: Path) -> None:
    """Draw ratings with their intervals, and the payoff matrix next to them.

    Args:
        ratings: the result of `fit`.
        path: the suffix is the format: .png, .svg or .pdf.

    Raises:
        NotInstalledError: matplotlib is missing.
        ArgumentError: the format is unknown, or `path` cannot be written.
    """
    if path.suffix.lower() not in _SUFFIXES:
        raise ArgumentError(f"The picture must end in {', '.join(_SUFFIXES)}; got {path}.")
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise NotInstalledError(
            'matplotlib is not installed. Run: puffer install plot   (or: pip install "pufferlib['
            'plot]")'
        ) from error
    names = [player.name for player in ratings.players][::-1]
    values = [player.rating for player in ratings.players][::-1]
    figure = Figure(layout="constrained")
    panel = figure.subplots()
    panel.plot(values, names, "o")
    figure.savefig(path)
