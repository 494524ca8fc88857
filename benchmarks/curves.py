"""Train tasks from their presets with three seeds each, and draw the curves of the docs.

    OMP_NUM_THREADS=1 python benchmarks/curves.py learning --out docs/images/learning.svg
    OMP_NUM_THREADS=1 python benchmarks/curves.py ocean --out docs/images/ocean.svg
    OMP_NUM_THREADS=1 python benchmarks/curves.py selfplay --out docs/images/selfplay.svg

Each run is `puffer train TASK --train.seed SEED`, without other flags, in its own process.
"""

import argparse
import io
from pathlib import Path

from processes import new_process_each
from rich.console import Console

from pufferlib.runs import Run
from pufferlib.runs.curves import plot

SETS = {
    "learning": (
        *("CartPole-v1", "Acrobot-v1", "Pendulum-v1", "LunarLander-v3"),
        *("MiniGrid-Empty-8x8-v0", "MiniGrid-DoorKey-5x5-v0", "MiniGrid-DoorKey-8x8-v0"),
        "MiniHack-Room-5x5-v0",
    ),
    "ocean": (
        *("squared", "bandit", "memory", "password", "stochastic", "continuous", "spaces"),
        "multiagent",
    ),
    "selfplay": ("open_spiel/tic_tac_toe",),
}
METRICS = {
    "learning": "episode/episode_return",
    "ocean": "episode/score",
    "selfplay": "selfplay/rating",  # Elo above random play
}


def main() -> None:
    """Train the tasks of a set and draw their curves."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("set", choices=SETS)
    parser.add_argument("--tasks", nargs="+", metavar="TASK", help="only these tasks of the set")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3], metavar="SEED")
    parser.add_argument("--jobs", type=int, default=1, help="runs in parallel")
    parser.add_argument("--runs", type=Path, default=Path("runs/curves"), help="folder of the runs")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help=".svg, .png, .pdf")
    arguments = parser.parse_args()
    tasks = arguments.tasks or SETS[arguments.set]
    if unknown := set(tasks) - set(SETS[arguments.set]):
        parser.error(f"no task {', '.join(unknown)}; there are {', '.join(SETS[arguments.set])}")
    runs = [(task, seed) for task in tasks for seed in arguments.seeds]
    with new_process_each(arguments.jobs) as pool:
        folders = list(pool.map(train, *zip(*runs, strict=True), [arguments.runs] * len(runs)))
    plot(folders, METRICS[arguments.set], "timesteps", arguments.out)


def train(task: str, seed: int, runs: Path) -> Path:
    """Train `task` from its preset; return the folder of the run."""
    folder = runs / task / f"seed {seed}"
    run = Run.configure(task, {"train.seed": seed, "run": folder})
    return run.train(Console(file=io.StringIO())).parent


if __name__ == "__main__":
    main()
