"""Compare the samplers of `puffer sweep`: docs/sweeps-samplers.md.

    OMP_NUM_THREADS=1 python benchmarks/samplers.py --jobs 2

On imitated training, every sampler spends the same CPU time on trials of the tasks in
`sampler_tasks.py`, whose best settings each seed draws. The front is chosen by the noisy scores, as
in a sweep, and measured by the true ones: the area below it over log cost, as a share of the area
of a perfect score at the least cost. Columns: that area, the mean over seeds, after half and after
all of the time; the part of the time in which the mean reaches that of TPE after all of it; CPU
milliseconds of a proposal.

    puffer sweep TASK --sweep.sampler tpe --sweep.seed 1 --run runs/tpe-1    # and the others
    python benchmarks/samplers.py --sweeps runs/tpe-1 runs/random-1 ...

compares sweeps of a real task in the same way, up to the time that all of them have used. Scores
are those of the search, above that of the cheapest front that any of them has; the area is a share
of the largest.
"""

import argparse
import concurrent.futures
import json
import multiprocessing
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import optuna
from sampler_tasks import KINDS, PRESET, SPACE, Task

from pufferlib.sweep.front import finished, hypervolume, is_on_front
from pufferlib.sweep.samplers import SAMPLERS, make_sampler

GRID = 200  # moments at which fronts are compared
COSTS_S = (0.5, 100.0)
Curve = list[float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tasks", nargs="*", default=[*KINDS], metavar="TASK")
    parser.add_argument("--samplers", nargs="+", default=[*SAMPLERS])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--trials", type=int, default=25, help="of the preset's cost: the time")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--sweeps", nargs="+", type=Path, default=(), metavar="FOLDER")
    arguments = parser.parse_args()
    spawn = multiprocessing.get_context("spawn")
    print("| task | sampler | half | all | time to TPE's front | ms |\n|---|---|---|---|---|---|")
    if arguments.sweeps:
        for line in rows(*read_sweeps(arguments.sweeps)):
            print(line)
        return
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
    found: list[tuple[float, float, float]] = []  # score, cost, true score
    spent_s, fronts = 0.0, [(0.0, 0)]  # after so many seconds, how many had finished
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
        found.append((outcome.score, outcome.cost, outcome.true_score))
        fronts.append((spent_s, len(found)))
    ask_ms = (time.process_time() - began_s) / len(study.trials) * 1e3
    return areas(found, fronts, budget_s, 0.0, COSTS_S), ask_ms


def areas(
    found: Sequence[tuple[float, float, float]],
    fronts: Sequence[tuple[float, int]],
    until_s: float,
    least_score: float,
    costs_s: tuple[float, float],
) -> Curve:
    """Return the area below the front at `GRID` + 1 moments, as a share of a score of 1."""
    moments = np.linspace(0, until_s, GRID + 1)
    after = np.searchsorted([moment for moment, _ in fronts], moments, "right") - 1
    by_count = {0: 0.0}
    for count in {fronts[index][1] for index in after} - {0}:
        score, cost, true = np.array(found[:count]).T
        front = is_on_front(score, cost)
        area = hypervolume(true[front], cost[front], least_score, costs_s)
        by_count[count] = area / np.log(costs_s[1] / costs_s[0])
    return [by_count[fronts[index][1]] for index in after]


def read_sweeps(folders: Sequence[Path]) -> tuple[str, dict[str, list[tuple[Curve, float]]]]:
    """Return the task of sweeps, and their areas over time by sampler."""
    from pufferlib.sweep.journal import read_journal

    facts = [json.loads((folder / "sweep.json").read_text()) for folder in folders]
    if len({each["env"] for each in facts}) > 1:
        raise SystemExit("The sweeps are of different tasks. Name those of one.")
    found, fronts = [], []
    for folder in folders:
        trials = [t for t in read_journal(folder).trials if t.state.is_finished()]
        done = finished(trials)
        spent_s = np.cumsum([t.user_attrs.get("cpu_s", 0.0) for t in trials])
        known = np.cumsum([t in done for t in trials])
        found.append([(t.values[0], t.values[1], t.values[0]) for t in done])
        fronts.append([(0.0, 0), *zip(spent_s.tolist(), known.tolist(), strict=True)])
    everything = np.array([point for points in found for point in points])
    costs_s = (float(everything[:, 1].min()), float(everything[:, 1].max()) * 1.01)
    chosen = [np.array(points)[is_on_front(*np.array(points).T[:2])] for points in found]
    least_score = min(float(points[:, 0].min()) for points in chosen)
    until_s = min(moments[-1][0] for moments in fronts)
    curves = [
        areas(*pair, until_s, least_score, costs_s) for pair in zip(found, fronts, strict=True)
    ]
    largest = max(max(curve) for curve in curves) or 1.0
    by_sampler: dict[str, list[tuple[Curve, float]]] = {}
    for each, curve in zip(facts, curves, strict=True):
        shares = [area / largest for area in curve]
        by_sampler.setdefault(each["sweep"]["sampler"], []).append((shares, np.nan))
    return facts[0]["env"], by_sampler


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
