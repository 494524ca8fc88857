"""Draw a sweep: trials, their learning curves, and the front of score against cost."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pufferlib.figures import load_matplotlib, save
from pufferlib.runs.curves import COLORS, STYLE
from pufferlib.runs.seeds import mean_interval
from pufferlib.sweep.front import finished, front

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

_TRIAL, _CURVE, _FAILED = "#8c96a0", "#c9d1d8", "#b0413e"
_FRONT, _CONFIRMED, _PRESET = COLORS[0], COLORS[1], COLORS[4]
_WIDTH_IN, _HEIGHT_IN, _DPI = 7.2, 4.4, 150
_MOST_CURVES = 100
_LEAST_COST_S = 0.01  # a tick of the clock of CPU time; an axis of logarithms has no 0


def draw_front(study: "Study", title: str, out: Path) -> None:
    """Draw the trials of a sweep by CPU seconds and score, with the front, into the file `out`.

    Learning curves are faint, failed trials are crosses below, scores with fresh seeds have bars:
    their 95% interval, or all there is between lowest and highest of two seeds or one.

    Args:
        study: see `pufferlib.sweep` for what it holds.
        title: of the picture: the task.
        out: the suffix is the format: .svg, .png or .pdf.

    Raises:
        NotInstalledError: matplotlib is missing.
        ArgumentError: the format is unknown, or `out` cannot be written.
    """
    matplotlib = load_matplotlib(out)
    # Names in an SVG are hashes: the same sweep makes the same file.
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": "pufferlib"}):
        size = (_WIDTH_IN, _HEIGHT_IN)
        figure = matplotlib.figure.Figure(figsize=size, dpi=_DPI, layout="constrained")
        panel = figure.subplots()
        _draw(panel, study)
        panel.set_title(title, loc="left")
        if study.get_trials(deepcopy=False):
            figure.legend(loc="outside lower center", ncols=6, fontsize=8, handletextpad=0.4)
        date = {"Date": None} if out.suffix.lower() == ".svg" else None
        save(figure, out, date)


def _draw(panel: Any, study: "Study") -> None:
    from matplotlib.ticker import LogLocator

    trials = study.get_trials(deepcopy=False)
    done, best = finished(trials), front(trials)
    on_front = {trial.number for trial in best}
    others = [t for t in done if t.number not in on_front and t.number != 0]
    panel.set_xscale("log")
    # Before data is drawn, so that matplotlib chooses no limits: for some costs it warns.
    failed_s = _failed_s(trials, {trial.number for trial in done})
    _limit(panel, done, failed_s)
    _draw_curves(panel, done)
    _scatter(panel, others, color=_TRIAL, s=16, alpha=0.8, label="trial", zorder=3)
    if best:
        _draw_front(panel, best, max(map(_cost_s, done)))
    _draw_confirmed(panel, best, study.user_attrs)
    preset = [trial for trial in done if trial.number == 0]
    _scatter(
        panel, preset, color=_PRESET, s=110, marker="*", label="preset", zorder=7, edgecolor="black"
    )
    _name_front(panel, best)
    _draw_failed(panel, failed_s)
    panel.set_xlabel("CPU seconds of training")
    panel.set_ylabel("score (mean return)")
    panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    panel.xaxis.set_major_formatter("{x:g}")


def _cost_s(trial: "FrozenTrial") -> float:
    return max(trial.values[1], _LEAST_COST_S)


def _scatter(panel: Any, trials: "Sequence[FrozenTrial]", **style: Any) -> None:
    if trials:
        style = {"edgecolor": "white", "linewidth": 0.5, **style}
        panel.scatter([_cost_s(t) for t in trials], [t.values[0] for t in trials], **style)


def _draw_curves(panel: Any, done: "Sequence[FrozenTrial]") -> None:
    """Draw the latest curves, faint; each ends at the point of its trial."""
    label = "learning curve"
    for trial in done[-_MOST_CURVES:]:
        curve = [point for point in trial.user_attrs.get("curve", []) if point[0] > 0]
        if curve:
            xs, ys = zip(*sorted(map(tuple, curve)), strict=True)
            panel.plot(xs, ys, color=_CURVE, linewidth=0.7, alpha=0.7, zorder=1, label=label)
            label = ""


def _draw_front(panel: Any, best: "Sequence[FrozenTrial]", end_s: float) -> None:
    """Draw the front as steps: the best score for at most so much CPU time."""
    xs = [_cost_s(trial) for trial in best]
    ys = [trial.values[0] for trial in best]
    panel.step([*xs, end_s], [*ys, ys[-1]], where="post", color=_FRONT, zorder=4, label="front")
    panel.scatter(xs, ys, color=_FRONT, s=34, zorder=5, edgecolor="white", linewidth=0.8)


def _name_front(panel: Any, best: "Sequence[FrozenTrial]") -> None:
    """Write the numbers of the front's trials, the best first, where there is room."""
    taken: list[tuple[float, float]] = []
    for trial in reversed(best):
        x, y = panel.transAxes.inverted().transform(
            panel.transData.transform((_cost_s(trial), trial.values[0]))
        )
        if any(abs(x - other_x) < 0.035 and abs(y - other_y) < 0.045 for other_x, other_y in taken):
            continue
        taken.append((x, y))
        panel.annotate(
            str(trial.number),
            (_cost_s(trial), trial.values[0]),
            xytext=(-5, 4),
            textcoords="offset points",
            ha="right",
            fontsize=7.5,
            color=_FRONT,
            zorder=8,
        )


def _draw_confirmed(panel: Any, best: "Sequence[FrozenTrial]", attributes: dict[str, Any]) -> None:
    label = "with fresh seeds"
    for trial in best:
        scores = attributes.get(f"confirmed:{trial.number}", {}).get("scores", [])
        if not scores:
            continue
        mean, low, high = mean_interval(scores)
        if len(scores) < 3:  # Student's interval of two would leave the picture
            low, high = min(scores), max(scores)
        panel.errorbar(
            _cost_s(trial),
            mean,
            yerr=[[mean - low], [high - mean]],
            color=_CONFIRMED,
            marker="D",
            markersize=4.5,
            markeredgecolor="white",
            capsize=2.5,
            linewidth=1.0,
            linestyle="none",
            zorder=6,
            label=label,
        )
        label = ""


def _failed_s(trials: "Sequence[FrozenTrial]", done: set[int]) -> list[float]:
    """Return the CPU seconds of the failed trials that started."""
    failed = [trial for trial in trials if trial.state.is_finished() and trial.number not in done]
    costs = [trial.user_attrs.get("cpu_s") for trial in failed]
    return [max(cpu_s, _LEAST_COST_S) for cpu_s in costs if cpu_s is not None]


def _limit(panel: Any, done: "Sequence[FrozenTrial]", failed_s: Sequence[float]) -> None:
    """Show all trials, except scores far below the others: some failures have no bound."""
    costs = [*map(_cost_s, done), *failed_s]
    if costs:
        panel.set_xlim(min(costs) / 2, max(costs) * 1.3)
    if not done:
        return
    scores = [trial.values[0] for trial in done]
    high, spread = max(scores), max(scores) - float(np.median(scores))
    low = max(min(scores), float(np.quantile(scores, 0.1)) - spread / 2)
    room = 0.12 * ((high - low) or 1.0)
    panel.set_ylim(low - room, high + room)


def _draw_failed(panel: Any, costs: Sequence[float]) -> None:
    """Draw the failed trials as crosses at the bottom, at the cost they had until then."""
    if costs:
        panel.scatter(
            costs,
            [0.02] * len(costs),
            transform=panel.get_xaxis_transform(),
            color=_FAILED,
            marker="x",
            s=22,
            linewidth=1.2,
            zorder=4,
            label="failed",
        )
