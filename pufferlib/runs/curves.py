"""Read and draw the learning curves of runs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pufferlib.exceptions import (
    ArgumentError,
    suggestion,
)
from pufferlib.figures import load_matplotlib, save
from pufferlib.runs.folder import read_task
from pufferlib.runs.seeds import is_group, members
from pufferlib.training.loggers import METRICS, read_metrics

# Okabe and Ito's palette, which color-blind people can distinguish; black last.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e5e5e5",
    "grid.linewidth": 0.8,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "svg.fonttype": "none",
}
_WIDTH_IN, _HEIGHT_IN, _DPI = 5.2, 3.6, 150
_PANELS_ABREAST = 3


def plot(
    runs: Sequence[Path],
    metric: str,
    x: str,
    out: Path,
    names: Mapping[Path, str] | None = None,
) -> None:
    """Draw a panel for each task, a curve for each run, into the file `out`.

    Runs that differ in their seed are one curve, their mean, with a band from the lowest to the
    highest.

    Args:
        runs: folders of runs, or of several runs that differ in their seed.
        metric: a name in metrics.jsonl, for the y axis.
        x: another name, for the x axis.
        out: the suffix is the format.
        names: what the legend calls a run; by default its folder's name.

    Raises:
        NotInstalledError: matplotlib is missing.
        ArgumentError: the format, or the metric, is unknown; `out` cannot be written.
        CheckpointError: a folder is not that of a run, or its metrics are damaged.
    """
    matplotlib = load_matplotlib(out, "--out")
    tasks: dict[str, list[Path]] = {}
    for run in dict.fromkeys(runs):
        tasks.setdefault(read_task(_begun(run)[0]), []).append(run)
    abreast = min(len(tasks), _PANELS_ABREAST)
    rows = -(-len(tasks) // abreast)
    with matplotlib.rc_context(STYLE):
        size = (_WIDTH_IN * abreast, _HEIGHT_IN * rows)
        figure = matplotlib.figure.Figure(figsize=size, dpi=_DPI, layout="constrained")
        panels = list(figure.subplots(rows, abreast, squeeze=False).flat)
        for panel, (task, folders) in zip(panels, tasks.items(), strict=False):
            bands = [_band(folder, metric, x) for folder in folders]
            _draw(panel, task, bands, _labels(folders, names or {}))
            panel.set_xlabel(x)
            panel.set_ylabel(metric)
        for panel in panels[len(tasks) :]:
            panel.remove()
        save(figure, out)


class Band(NamedTuple):
    """The curve of one run, or of several: their mean, the lowest and the highest at each x."""

    xs: Sequence[float]
    mean: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]


def _begun(folder: Path) -> list[Path]:
    """Return the runs in a folder: itself, or those that differ in their seed."""
    if not is_group(folder):
        return [folder]
    found = members(folder)
    if not found:
        raise ArgumentError(f"No run in {folder} has begun. Name the folder of another.")
    return found


def _band(folder: Path, metric: str, x: str) -> Band:
    curves = [curve(run, metric, x) for run in _begun(folder)]
    return band(curves) if len(curves) > 1 else Band(*curves[0], curves[0][1], curves[0][1])


def band(curves: Sequence[tuple[list[float], list[float]]]) -> Band:
    """Return the mean, lowest and highest of curves, interpolated where all of them have values.

    Args:
        curves: (xs, ys) of each, xs ascending.

    Raises:
        ArgumentError: there is no such x.
    """
    first, last = max(xs[0] for xs, _ in curves), min(xs[-1] for xs, _ in curves)
    grid = sorted({x for xs, _ in curves for x in xs if first <= x <= last})
    if not grid:
        raise ArgumentError(
            "The runs of different seeds have no part of their curves in common. Draw the folder "
            "of each, or train them further."
        )
    values = np.array([np.interp(grid, xs, ys) for xs, ys in curves])
    return Band(grid, *(part.tolist() for part in (values.mean(0), values.min(0), values.max(0))))


def curve(run: Path, metric: str, x: str) -> tuple[list[float], list[float]]:
    """Return the values of `x` and of `metric` where a run logged both.

    Raises:
        ArgumentError: the run never logged `metric`; suggests the nearest name that it logged.
        CheckpointError: its metrics are damaged.
    """
    lines = read_metrics(run)
    points = [(line[x], line[metric]) for line in lines if metric in line]
    if not points:
        known = dict.fromkeys(name for line in lines for name in line)
        raise ArgumentError(
            f"{run / METRICS} has no {metric!r}.{suggestion(metric, known)} "
            f"Metrics: {', '.join(known) or 'none'}."
        )
    return [point[0] for point in points], [point[1] for point in points]


def _labels(folders: Sequence[Path], given: Mapping[Path, str]) -> list[str]:
    """Return the names of folders, their paths where a name occurs twice; and how many seeds."""
    names = [given.get(folder, folder.resolve().name) for folder in folders]
    labels = []
    for name, folder in zip(names, folders, strict=True):
        label = name if names.count(name) == 1 else str(folder)
        seeds = len(_begun(folder))
        several = f": mean of {seeds} seeds, band from lowest to highest" if seeds > 1 else ""
        labels.append(f"{label}{several}")
    return labels


def _draw(panel: Any, task: str, curves: Sequence[Band], labels: Sequence[str]) -> None:
    from matplotlib.ticker import EngFormatter

    for index, (name, (xs, mean, low, high)) in enumerate(zip(labels, curves, strict=True)):
        color = COLORS[index % len(COLORS)]
        marker = "o" if len(xs) == 1 else None  # a line of one point is invisible
        panel.plot(xs, mean, color=color, label=name, marker=marker)
        if low != high:
            panel.fill_between(xs, low, high, color=color, alpha=0.2, linewidth=0)
    panel.set_title(task, loc="left")
    panel.margins(x=0.01)
    panel.xaxis.set_major_formatter(EngFormatter(sep=""))
    panel.legend(loc="best")
