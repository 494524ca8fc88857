"""Compare the samplers of `puffer sweep` on imitated training: docs/sweeps-samplers.md.

    OMP_NUM_THREADS=1 python benchmarks/samplers.py --jobs 2

Every sampler spends the same CPU time on trials of the tasks in `sampler_tasks.py`, whose best
settings each seed draws. The front is chosen by the noisy scores, as in a sweep, and measured by
the true ones: the area below it over log cost, as a share of the area of a perfect score at the
least cost. Columns: that area, the mean over seeds, after half and after all of the time; the part
of the time in which the mean reaches that of TPE after all of it; CPU milliseconds of a proposal.
"""

import argparse
import concurrent.futures
import multiprocessing
import time
from collections.abc import Iterable

import numpy as np
import optuna
from sampler_tasks import KINDS, PRESET, SPACE, Task

from pufferlib.sweep.front import hypervolume, is_on_front
from pufferlib.sweep.samplers import SAMPLERS, make_sampler

GRID = 200  # moments at which fronts are compared
COSTS_S = (0.5, 100.0)
Curve = list[float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tasks", nargs="*", default=[*KINDS], metavar="TASK")
    parser.add_argument("--samplers", nargs="+", default=[*SAMPLERS])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--trials", type=int, default=60, help="of the preset's cost: the time")
    parser.add_argument("--jobs", type=int, default=1)
    arguments = parser.parse_args()
    spawn = multiprocessing.get_context("spawn")
    print("| task | sampler | half | all | time to TPE's front | ms |\n|---|---|---|---|---|---|")
    with concurrent.futures.ProcessPoolExecutor(arguments.jobs, spawn) as pool:
        for task in arguments.tasks:
            seeds = range(1, arguments.seeds + 1)
            found = {
                sampler: [
                    pool.submit(search, task, sampler, seed, arguments.trials) for seed in seeds
                ]
                for sampler in arguments.samplers
            }
            curves = {name: [job.result() for job in jobs] for name, jobs in found.items()}
            for line in rows(task, curves):
                print(line, flush=True)


def search(kind: str, sampler: str, seed: int, trials: int) -> tuple[Curve, float]:
    """Return the area of the front over time, and CPU milliseconds of a proposal."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    task = Task(kind, seed)
    budget_s = trials * task.run(PRESET, 0).cost
    study = optuna.create_study(
        directions=["maximize", "minimize"], sampler=make_sampler(sampler, seed)
    )
    study.enqueue_trial(PRESET)
    scores: list[float] = []
    costs: list[float] = []
    true: list[float] = []
    spent_s, areas, moments = 0.0, [0.0], [0.0]
    began_s = time.process_time()
    while spent_s < budget_s:
        trial = study.ask(SPACE)
        outcome = task.run(trial.params, 1_000 * seed + trial.number)
        spent_s += outcome.cost
        trial.set_user_attr("cpu_s", outcome.cost)
        if outcome.failed:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            continue
        trial.set_user_attr("curve", outcome.curve)
        study.tell(trial, (outcome.score, outcome.cost))
        scores.append(outcome.score)
        costs.append(outcome.cost)
        true.append(outcome.true_score)
        front = is_on_front(scores, costs)
        area = hypervolume(np.array(true)[front], np.array(costs)[front], 0.0, COSTS_S)
        areas.append(area / np.log(COSTS_S[1] / COSTS_S[0]))
        moments.append(spent_s)
    ask_ms = (time.process_time() - began_s) / len(study.trials) * 1e3
    grid = np.linspace(0, budget_s, GRID + 1)
    after = np.searchsorted(moments, grid, "right") - 1
    return np.array(areas)[after].tolist(), ask_ms


def rows(task: str, found: dict[str, list[tuple[Curve, float]]]) -> Iterable[str]:
    """Yield a row for each sampler."""
    means = {name: np.mean([curve for curve, _ in runs], 0) for name, runs in found.items()}
    target = means["tpe"][-1] if "tpe" in means else np.inf
    for name, runs in found.items():
        mean = means[name]
        reached = np.flatnonzero(mean >= target)
        part = f"{reached[0] / GRID:.2f}" if len(reached) else "not reached"
        milliseconds = np.mean([each for _, each in runs])
        yield (
            f"| {task} | {name} | {mean[GRID // 2]:.3f} | {mean[-1]:.3f} | {part} | "
            f"{milliseconds:.0f} |"
        )


if __name__ == "__main__":
    main()
