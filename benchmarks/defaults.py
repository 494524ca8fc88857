"""Compare what is learned by default with CleanRL and Stable-Baselines3; print a table of the docs.

    OMP_NUM_THREADS=1 python benchmarks/defaults.py --cleanrl PYTHON FOLDER --results FILE

No setting is chosen: `puffer train gymnasium:TASK` without flags, CleanRL's ppo.py or
ppo_continuous_action.py without flags, and `PPO("MlpPolicy", TASK)`, for equally many steps of the
same environment. Columns: the mean return of the last hundred episodes of training, and that of 32
episodes of each seed whose seeds training never saw, with sampled and with greedy actions, and a
95% interval (bootstrap, over the trainings and over the episodes of each).

`--cleanrl` names a checkout of CleanRL, and a Python that can run it:

    python3.11 -m venv cleanrl-venv && cleanrl-venv/bin/pip install torch==2.13.0
    cleanrl-venv/bin/pip install "gymnasium[classic-control]==0.29.1" "numpy<2" tyro tensorboard \\
        box2d mujoco==3.17.0 imageio minigrid==2.3.1

Results are added to the file of `--results`, a line of JSON each; what it holds already is not
trained again, so the comparison can be stopped and continued. `--record FILE` also writes the rows
for benchmarks/learning_record.py, which writes the table of docs/learning.md. A record is of one
run, so it needs a new file of results.
"""

import argparse
import collections
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from learning_record import LearningRecorder
from learning_tables import COLUMNS, markdown
from record import add_argument, command

# Steps of training, by task: enough that a good default has learned something.
TASKS = {
    "CartPole-v1": 100_000,
    "Acrobot-v1": 100_000,
    "LunarLander-v3": 150_000,
    "FrozenLakeVector-v0": 50_000,
    "Empty-8x8-v0": 50_000,
    "DoorKey-5x5-v0": 100_000,
    "Pendulum-v1": 100_000,
    "MountainCarContinuous-v0": 50_000,
    "InvertedDoublePendulum-v4": 50_000,
    "Hopper-v4": 100_000,
    "HalfCheetah-v4": 100_000,
}
LIBRARIES = ("pufferlib", "cleanrl", "sb3")
Result = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--libraries", nargs="+", choices=LIBRARIES, default=[*LIBRARIES])
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=[*TASKS], metavar="TASK")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3], metavar="SEED")
    parser.add_argument("--timesteps", type=int, help="for every task")
    parser.add_argument("--cleanrl", nargs=2, metavar=("PYTHON", "FOLDER"))
    parser.add_argument("--results", type=Path, default=Path("defaults.jsonl"))
    add_argument(parser)
    arguments = parser.parse_args()
    if "cleanrl" in arguments.libraries and arguments.cleanrl is None:
        parser.error("name a checkout of CleanRL with --cleanrl, or leave it out of --libraries")
    if arguments.record and arguments.results.exists():
        parser.error(
            f"{arguments.results} has results of another run. A record is of one run: name a new "
            "file with --results."
        )
    recorder = LearningRecorder(arguments.record, command())
    results = read(arguments.results)
    for seed in arguments.seeds:
        for task in arguments.tasks:
            steps = arguments.timesteps or TASKS[task]
            for library in arguments.libraries:
                if (library, task, steps, seed) not in results:
                    result = train(library, task, steps, seed, arguments.cleanrl)
                    results[library, task, steps, seed] = result
                    with arguments.results.open("a") as file:
                        file.write(json.dumps(result) + "\n")
    wanted = [
        result
        for (library, task, steps, seed), result in results.items()
        if library in arguments.libraries and task in arguments.tasks and seed in arguments.seeds
        if steps == (arguments.timesteps or TASKS[task])
    ]
    table = [*rows(wanted)]
    print(markdown(COLUMNS["defaults"], table))
    for row in table:
        recorder.add("defaults", row)


def read(path: Path) -> dict[tuple[str, str, int, int], Result]:
    """Return the results in a file, by library, task, steps and seed."""
    lines = path.read_text().splitlines() if path.exists() else []
    found = map(json.loads, lines)
    return {(r["library"], r["task"], r["timesteps"], r["seed"]): r for r in found}


def train(library: str, task: str, steps: int, seed: int, cleanrl: list[str] | None) -> Result:
    """Train in a separate process; return its result."""
    python, folder = cleanrl if library == "cleanrl" and cleanrl else (sys.executable, "")
    script = Path(__file__).with_name("defaults_run.py")
    command = [python, str(script), library, task, str(steps), "--seed", str(seed)]
    done = subprocess.run(
        [*command, *(["--cleanrl", folder] if folder else [])],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    result: Result = json.loads(done.stdout.splitlines()[-1])
    return result


def rows(results: list[Result]) -> Iterator[dict[str, Any]]:
    """Yield the rows of the table, one for each task and library."""
    groups: dict[tuple[str, int, str], list[Result]] = collections.defaultdict(list)
    for result in results:
        groups[result["task"], result["timesteps"], result["library"]].append(result)
    for (task, steps, library), group in sorted(groups.items(), key=place):
        yield {
            "task": task,
            "steps": steps,
            "library": library,
            "seeds": len(group),
            "last_100": mean([result["last"] for result in group]),
            "sampled": interval([result["sampled"] for result in group]),
            "greedy": interval([result["greedy"] for result in group]),
            "cpu_s": mean([result["cpu_s"] for result in group]),
        }


def place(group: tuple[tuple[str, int, str], list[Result]]) -> tuple[int, int]:
    task, _, library = group[0]
    return [*TASKS].index(task), LIBRARIES.index(library)


def mean(values: list[float]) -> float:
    return round(float(np.mean(values)), 2)


def interval(returns: list[list[float]]) -> list[float]:
    """Return the mean and the ends of a 95% interval; (seeds, episodes), both are drawn."""
    values = np.array(returns)
    generator = np.random.default_rng(0)
    seeds = generator.integers(len(values), size=(2000, len(values), 1))
    episodes = generator.integers(values.shape[1], size=(2000, len(values), values.shape[1]))
    low, high = np.percentile(values[seeds, episodes].mean((1, 2)), [2.5, 97.5])
    return [round(float(value), 2) for value in (values.mean(), low, high)]


if __name__ == "__main__":
    main()
