"""Draw into files with matplotlib, which the extra `plot` brings."""

from pathlib import Path
from types import ModuleType
from typing import Any

from pufferlib.exceptions import ArgumentError, NotInstalledError

_SUFFIXES = (".png", ".svg", ".pdf")


def load_matplotlib(out: Path, what: str = "A picture") -> ModuleType:
    """Return matplotlib, with `matplotlib.figure`, to draw into the file `out`.

    Args:
        out: the suffix is the format: .png, .svg or .pdf.
        what: names `out` in an error.

    Raises:
        ArgumentError: the format is unknown.
        NotInstalledError: matplotlib is missing.
    """
    if out.suffix.lower() not in _SUFFIXES:
        raise ArgumentError(f"{what} must end in {', '.join(_SUFFIXES)}; got {out}.")
    try:
        import matplotlib
        import matplotlib.figure
    except ImportError as error:
        raise NotInstalledError(
            'matplotlib is not installed. Run: puffer install plot   (or: pip install "pufferlib['
            'plot]")'
        ) from error
    return matplotlib


def save(figure: Any, out: Path, metadata: dict[str, Any] | None = None) -> None:
    """Write a figure into the file `out`, whose folder is made if there is none.

    Args:
        figure: a `matplotlib.figure.Figure`.
        out: see `load_matplotlib`.
        metadata: see `Figure.savefig`.

    Raises:
        ArgumentError: it cannot be written.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(out, metadata=metadata)
    except OSError as error:
        raise ArgumentError(
            f"{out} cannot be written: {error.strerror}. Name another file."
        ) from error
