"""Learning curves of tasks from their presets, three seeds each; draws those of the docs.

    OMP_NUM_THREADS=1 python benchmarks/curves.py learning --out docs/images/learning.svg
    OMP_NUM_THREADS=1 python benchmarks/curves.py ocean --out docs/images/ocean.svg

Each run is `puffer train TASK --train.seed SEED`, with nothing else set, in a process of its own.
"""

import argparse
import concurrent.futures
import contextlib
import io
import multiprocessing
from pathlib import Path

from pufferlib.cli.main import main as puffer
from pufferlib.cli.plot import plot

SETS = {
    "learning": (
        *("CartPole-v1", "Acrobot-v1", "Pendulum-v1", "LunarLander-v3"),
        *("MiniGrid-Empty-8x8-v0", "MiniGrid-DoorKey-5x5-v0", "MiniHack-Room-5x5-v0"),
    ),
    "ocean": (
        *("squared", "bandit", "memory", "password", "stochastic", "continuous", "spaces"),
        "multiagent",
    ),
}
METRICS = {"learning": "episode/episode_return", "ocean": "episode/score"}


def main() -> None:
    """Train what was asked for and draw it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("set", choices=SETS)
    parser.add_argument("--tasks", nargs="+", metavar="TASK", help="these of the set")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3], metavar="SEED")
    parser.add_argument("--jobs", type=int, default=1, help="trainings at a time")
    parser.add_argument("--runs", type=Path, default=Path("runs/curves"), help="folder of the runs")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help=".svg, .png, .pdf")
    arguments = parser.parse_args()
    tasks = arguments.tasks or SETS[arguments.set]
    if unknown := set(tasks) - set(SETS[arguments.set]):
        parser.error(f"no task {', '.join(unknown)}; there are {', '.join(SETS[arguments.set])}")
    runs = [(task, seed) for task in tasks for seed in arguments.seeds]
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(
        arguments.jobs, spawn, max_tasks_per_child=1
    ) as pool:
        folders = list(pool.map(train, *zip(*runs, strict=True), [arguments.runs] * len(runs)))
    plot(folders, METRICS[arguments.set], "timesteps", arguments.out)


def train(task: str, seed: int, runs: Path) -> Path:
    """Train `task` from its preset; return the folder of the run."""
    folder = runs / task / f"seed {seed}"
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        status = puffer(["train", task, "--train.seed", str(seed), "--run", str(folder)])
    if status != 0:
        raise RuntimeError(said.getvalue().splitlines()[-1])
    return folder


if __name__ == "__main__":
    main()
