"""Compare what presets learn with published scores; print a table of docs/learning.md.

    OMP_NUM_THREADS=1 python benchmarks/standards.py --jobs 2 --record FILE

Each run is `puffer train TASK --train.seed SEED`, in its own process. Columns: the published score,
by whom, and after how many steps; the mean return of whole episodes of each seed from seeds that
training never used, with its 95% interval, once with sampled and once with greedy actions; CPU
seconds of a training. Published are CleanRL's mean return in training, with sampled actions
(docs/benchmark/ppo_continuous_action.md and, for Acrobot, docs/rl-algorithms/ppo.md at fe8d8a03),
and the mean return of an agent of RL Baselines3 Zoo, with greedy ones (benchmark.md at 22e3ff2).

A run is kept in the folder of `--runs`, with its result. One that was interrupted is continued, and
one with a result is not trained again, unless its settings or episodes are other ones: then it is
refused. `--record FILE` also writes the rows for benchmarks/learning_record.py. `puffer plot
FOLDER/TASK/*` draws the curves.
"""

import argparse
import dataclasses
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from learning_record import LearningRecorder
from learning_tables import columns, markdown
from processes import new_process_each
from record import add_argument, command
from rich.console import Console

from pufferlib.config import Config
from pufferlib.runs import Run
from pufferlib.training import checkpoint

FIRST_SEED = 1_000_000
CLEANRL, ZOO = "CleanRL", "RL Zoo"
# Of each task, by how actions are chosen, the published score, by whom, after how many steps.
PUBLISHED: dict[str, dict[str, tuple[float, str, int]]] = {
    "HalfCheetah-v5": {
        "sampled": (1442.64, CLEANRL, 1_000_000),
        "greedy": (5819.099, ZOO, 1_000_000),
    },
    "Hopper-v5": {
        "sampled": (2382.86, CLEANRL, 1_000_000),
        "greedy": (2410.435, ZOO, 1_000_000),
    },
    "Walker2d-v5": {
        "sampled": (2287.95, CLEANRL, 1_000_000),
        "greedy": (3478.798, ZOO, 1_000_000),
    },
    "Ant-v5": {"greedy": (1327.158, ZOO, 1_000_000)},
    "Humanoid-v5": {"sampled": (716.11, CLEANRL, 1_000_000)},
    "Swimmer-v5": {"greedy": (281.561, ZOO, 1_000_000)},
    "BipedalWalker-v3": {"greedy": (287.939, ZOO, 5_000_000)},
    "Pendulum-v1": {"greedy": (-172.225, ZOO, 100_000)},
    "MountainCarContinuous-v0": {"greedy": (88.343, ZOO, 20_000)},
    "Acrobot-v1": {"sampled": (-86.36, CLEANRL, 500_000), "greedy": (-73.506, ZOO, 1_000_000)},
    "LunarLander-v3": {"greedy": (242.119, ZOO, 1_000_000)},
}


def main() -> None:
    """Train and evaluate the tasks, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tasks", nargs="*", default=[*PUBLISHED], metavar="TASK")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3], metavar="SEED")
    parser.add_argument("--jobs", type=int, default=1, help="runs in parallel")
    parser.add_argument("--timesteps", type=int, help="for every task")
    parser.add_argument("--episodes", type=int, default=64, help="of each evaluation")
    parser.add_argument(
        "--runs", type=Path, default=Path("runs/standards"), help="folder of the runs"
    )
    add_argument(parser)
    arguments = parser.parse_args()
    if unknown := set(arguments.tasks) - set(PUBLISHED):
        parser.error(f"no task {', '.join(sorted(unknown))}; there are {', '.join(PUBLISHED)}")
    recorder = LearningRecorder(arguments.record, command())
    with new_process_each(arguments.jobs) as pool:
        rest = arguments.runs, arguments.timesteps, arguments.episodes
        runs = [(task, seed) for task in arguments.tasks for seed in arguments.seeds]
        futures = {run: pool.submit(result_of, *run, *rest) for run in runs}
    failed = {run: error for run, future in futures.items() if (error := future.exception())}
    for (task, seed), error in failed.items():
        print(f"{task}, seed {seed}, failed: {error}")
    rows = [
        row_of(task, actions, {seed: futures[task, seed].result() for seed in arguments.seeds})
        for task in arguments.tasks
        if not any((task, seed) in failed for seed in arguments.seeds)
        for actions in ("sampled", "greedy")
    ]
    for row in rows:
        recorder.add("standards", row)
    print(markdown(columns("standards", rows), rows))
    if failed:
        raise SystemExit(1)


def result_of(
    task: str, seed: int, runs: Path, timesteps: int | None, episodes: int
) -> dict[str, Any]:
    """Train `task` from its preset and evaluate it, as far as that is not done; return the result.

    Raises:
        ValueError: the folder of the run is of other settings, or its result of other episodes.
    """
    folder = runs / task / f"seed {seed}"
    given: dict[str, Any] = {"run": folder, "train.seed": seed}
    if timesteps is not None:
        given["train.total_timesteps"] = timesteps
    run = Run.configure(task, given)
    if (folder / "config.json").exists():
        old = Run.open(folder)
        if not learns_alike(old.config, run.config):
            raise ValueError(f"{folder} was trained with other settings. Remove it.")
        run = old
    path = folder / "result.json"
    if path.exists():
        result = dict(json.loads(path.read_text()))
        if result["episodes"] != episodes:
            raise ValueError(f"{path} is of {result['episodes']} episodes. Remove it.")
        return result
    trained = run.train(Console(file=io.StringIO()))
    scores = run.evaluate(trained, episodes, FIRST_SEED)
    result = {
        "steps": run.config.train.total_timesteps,
        "episodes": episodes,
        "seconds": checkpoint.load(trained)["evaluation"]["cpu_s"],
        **{name: [score.mean, *score.interval()] for name, score in scores.items()},
    }
    path.write_text(json.dumps(result))
    return result


def learns_alike(old: Config, new: Config) -> bool:
    """Return whether the settings that decide what is learned are those of an old run."""
    policy = old.policy
    if new.policy.normalize_observations is None:  # a run has settled it
        policy = dataclasses.replace(policy, normalize_observations=None)
    of_old = old.env, policy, old.train, old.vec.num_envs
    return of_old == (new.env, new.policy, new.train, new.vec.num_envs)


def row_of(task: str, actions: str, results: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the row of a task for one way of choosing actions, from the result of each seed."""
    score, by, steps = PUBLISHED[task].get(actions, (None, "", 0))
    one = next(iter(results.values()))
    seconds = [result["seconds"] for result in results.values()]
    return {
        "task": task,
        "actions": actions,
        "published": score,
        "by": by,
        "published_steps": steps,
        "random": one["random"][0],
        "seeds": {str(seed): result[actions] for seed, result in results.items()},
        "steps": one["steps"],
        "seconds": [min(seconds), max(seconds)],
    }


if __name__ == "__main__":
    main()
