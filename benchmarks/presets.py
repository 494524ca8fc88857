"""Train a task of each family from its preset; print a table of docs/learning.md.

    OMP_NUM_THREADS=1 python benchmarks/presets.py --jobs 2 --runs runs/presets [FAMILY...]

Each row is `puffer train TASK --train.total-timesteps STEPS` with the flags that the row shows, in
its own process. Columns: the mean return of whole episodes from seeds that training never used,
with its 95% interval, of a random policy and of the trained one with sampled actions; steps,
counting those of each agent; minutes of training, by the clock. `--record FILE` also writes them
for benchmarks/learning_record.py. `puffer plot RUNS/* --out docs/images/presets.svg` draws the
curves.
"""

import argparse
import concurrent.futures
import io
import time
from pathlib import Path
from typing import Any

from learning_record import LearningRecorder
from learning_tables import COLUMNS, markdown
from processes import new_process_each
from record import add_argument, command
from rich.console import Console

from pufferlib.runs import Run
from pufferlib.training import Evaluation

FIRST_SEED = 1_000_000
# Of each family a task, its steps, and settings that differ from the preset.
ROWS: dict[str, tuple[str, int] | tuple[str, int, dict[str, Any]]] = {
    "bsuite": ("bsuite/catch-v0", 100_000),
    "minigrid": ("BabyAI-GoToRedBallNoDists-v0", 200_000),
    "minihack": ("MiniHack-Room-Random-5x5-v0", 100_000),
    "nethack": ("NetHackScout-v0", 400_000, {"env.kwargs.max_episode_steps": 500}),
    "open_spiel": ("open_spiel/catch", 100_000),
    "lbforaging": ("Foraging-8x8-2p-3f-v3", 800_000),
    "mpe": ("simple_spread_v3", 1_000_000),
    "pettingzoo_classic": ("hanabi_v5", 250_000),
    "magent": ("battle_v4", 400_000),
    "overcooked": ("overcooked/cramped_room", 600_000),
    "griddly": ("GDY-Sokoban-v0", 300_000),
    "slimevolley": ("SlimeVolley-v0", 30_000_000),
    "sisl": ("pursuit_v5", 300_000),
    "butterfly": ("knights_archers_zombies_v11", 200_000),
    "dm_control": ("dm_control/cheetah-run-v0", 200_000),
    "microrts": ("MicroRTS-8x8-workerRushAI", 80_000),
    "vizdoom": ("VizdoomBasic-v1", 50_000),
    "highway": ("highway-fast-v0", 10_000),
    "crafter": ("CrafterReward-v1", 100_000),
    "nmmo": ("NMMO-Small", 200_000),
    "stable_retro": ("Airstriker-Genesis-v0", 40_000),
    "pokemon_red": ("HomebrewWalk-v0", 100_000, {"env.kwargs.max_steps": 512}),
    "atari": ("ALE/CrazyClimber-v5", 100_000),
    "procgen": (
        *("procgen-starpilot-v0", 300_000),
        {"env.kwargs.num_envs": 16, "train.precision": "bfloat16"},
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("families", nargs="*", default=[*ROWS], metavar="FAMILY")
    parser.add_argument("--jobs", type=int, default=1, help="runs in parallel")
    parser.add_argument("--episodes", type=int, default=32, help="of each evaluation")
    parser.add_argument(
        "--runs", type=Path, default=Path("runs/presets"), help="folder of the runs"
    )
    add_argument(parser)
    arguments = parser.parse_args()
    if unknown := set(arguments.families) - set(ROWS):
        parser.error(f"no row for {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}")
    columns = COLUMNS["families"]
    print(markdown(columns, []), flush=True)
    recorder = LearningRecorder(arguments.record, command())
    with new_process_each(arguments.jobs) as pool:
        rows = {
            pool.submit(row, arguments.runs, arguments.episodes, *ROWS[family]): family
            for family in arguments.families
        }
        for done in concurrent.futures.as_completed(rows):
            if error := done.exception():
                print(f"| {rows[done]} | failed: {error} | | | |", flush=True)
            else:
                print(markdown(columns, [done.result()]).splitlines()[-1], flush=True)
                recorder.add("families", done.result())
    if any(done.exception() for done in rows):
        raise SystemExit(1)


def row(
    runs: Path, episodes: int, task: str, timesteps: int, settings: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Train `task` from its preset and evaluate it; return its row of the table."""
    settings = settings or {}
    given = {"run": runs / task.replace("/", "-"), "train.total_timesteps": timesteps}
    run = Run.configure(task, {**settings, **given})
    began_s = time.monotonic()
    checkpoint = run.train(Console(file=io.StringIO()))
    minutes = (time.monotonic() - began_s) / 60
    results = run.evaluate(checkpoint, episodes, FIRST_SEED)
    flags = [f"--{name.replace('_', '-')} {value}" for name, value in settings.items()]
    return {
        "task": task,
        **({"flags": " ".join(flags)} if flags else {}),
        "random": numbers(results["random"]),
        "trained": numbers(results["sampled"]),
        "steps": timesteps,
        "minutes": round(minutes, 1),
    }


def numbers(result: Evaluation) -> list[float]:
    """Return the mean of an evaluation and the ends of its interval."""
    return [round(value, 2) for value in (result.mean, *result.interval())]


if __name__ == "__main__":
    main()
