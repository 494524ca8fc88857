"""Draw the NashConv of runs of a small game by self-play over their training, and print the last.

    OMP_NUM_THREADS=1 python benchmarks/nash_conv.py runs/kuhn/seed\\ * --out docs/images/kuhn.svg

A thin line is the NashConv of the snapshots in the pool of a run, a thick one that of the average
of the later half of the snapshots until then.
"""

import argparse
from pathlib import Path

from pufferlib.figures import load_matplotlib, save
from pufferlib.matches.exploitability import tabulate
from pufferlib.runs.curves import COLORS, STYLE

Curve = list[tuple[int, float, float]]
"""Timesteps, the NashConv of the snapshot there, and that of the average."""


def main() -> None:
    """Print a table of the runs, and draw their curves."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of a run")
    parser.add_argument("--points", type=int, default=40, help="of each curve (default 40)")
    parser.add_argument("--out", type=Path, metavar="FILE", help=".svg, .png, .pdf")
    arguments = parser.parse_args()
    curves = {}
    print("| run | snapshots | NashConv, last | of the average |\n|---|---|---|---|")
    for run in arguments.runs:
        snapshots = sorted((run / "pool").glob("learner@*.pt"), key=timesteps)
        curves[run.name] = curve = curve_of(snapshots, arguments.points)
        print(f"| {run.name} | {len(snapshots)} | {curve[-1][1]:.3f} | {curve[-1][2]:.3f} |")
    if arguments.out is not None:
        draw(curves, arguments.out)


def timesteps(snapshot: Path) -> int:
    """Return when a snapshot was made, by the name of its file."""
    return int(snapshot.stem.partition("@")[2])


def curve_of(snapshots: list[Path], points: int) -> Curve:
    """Return `points` points, the last of which is at the last snapshot."""
    table, by_name = tabulate([str(path) for path in snapshots])
    found = list(by_name.values())
    ends = sorted({len(found) * number // points for number in range(1, points + 1)} - {0})
    return [
        (
            timesteps(snapshots[end - 1]),
            table.nash_conv(found[end - 1]),
            table.nash_conv(table.average(found[end // 2 : end])),
        )
        for end in ends
    ]


def draw(curves: dict[str, Curve], path: Path) -> None:
    """Draw the curves of runs by name."""
    matplotlib = load_matplotlib(path, "--out")
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": "nash"}):
        figure = matplotlib.figure.Figure(figsize=(5.2, 3.6), layout="constrained")
        panel = figure.subplots()
        for color, (name, curve) in zip(COLORS, curves.items(), strict=False):
            times, single, average = zip(*curve, strict=True)
            panel.plot(times, single, color=color, alpha=0.4, linewidth=0.8)
            panel.plot(times, average, color=color, label=name)
        panel.set(xlabel="timesteps", ylabel="NashConv", yscale="log")
        panel.xaxis.set_major_formatter(matplotlib.ticker.EngFormatter(sep=""))
        panel.legend()
        save(figure, path)


if __name__ == "__main__":
    main()
