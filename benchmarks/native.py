"""Compare native environments with as many ordinary ones; print tables of docs/benchmarks.md.

    python benchmarks/native.py --rounds 21 --num-envs 32 [TASK...]

`Serial` steps all of them in this process, with the same seeds and actions; ALE's native games also
use ALE's threads. Columns, medians over the rounds: environment steps per second; its ratio to the
first row's, per round; CPU time of this process and its threads per environment step, as a ratio
too, and in microseconds.
"""

import argparse
import functools
import json
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import record
from tables import Table
from turns import median_ratio, take_turns

from pufferlib import registry, vector

TASKS = (
    "ALE/Breakout-v5",
    "procgen-coinrun-v0",
    "procgen-bigfish-v0",
    "MicroRTS-8x8-workerRushAI",
    "MicroRTS-16x16-workerRushAI",
    "NetHackScore-v0",
)
OTHER_FORMS = {
    task: {"native, library not shared": {"share_library": False}}
    for task in ("MiniHack-Room-5x5-v0", "NetHackScore-v0")
}
ACTIONS = 64  # sampled in advance


class Turn(NamedTuple):
    """The times of one turn."""

    wall_s: float
    cpu_s: float


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("tasks", nargs="*", default=TASKS, metavar="TASK")
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--num-envs", type=int, default=32)
    parser.add_argument("--steps", type=int, default=32, help="steps of all environments per turn")
    parser.add_argument(
        "--kwargs", type=json.loads, default={}, help="of the environments, as JSON"
    )
    record.add_argument(parser)
    arguments = parser.parse_args()
    recorder = record.Recorder("native", arguments.record)
    sizes = (arguments.num_envs, arguments.steps, arguments.rounds)
    for task in arguments.tasks:
        recorder.add(compare(task, arguments.kwargs, *sizes))


def compare(task: str, kwargs: Any, num_envs: int, steps: int, rounds: int) -> Table:
    """Return the medians of a task's forms."""
    make_env = functools.partial(registry.resolve(task).creator(), **kwargs)
    vecenvs = {"one by one": vector.make(make_env, num_envs=num_envs)}
    for name, options in {"native": {}, **OTHER_FORMS.get(task, {})}.items():
        native = functools.partial(make_env, num_envs=num_envs, **options)
        vecenvs[name] = vector.make(native)
    turns = {name: turn_of(vecenv, steps) for name, vecenv in vecenvs.items()}
    results = take_turns(turns, rounds)
    for vecenv in vecenvs.values():
        vecenv.close()
    base = results["one by one"]
    rows = {}
    for name, own in results.items():
        cpu_s = [turn.cpu_s for turn in own]
        rows[name] = {
            "steps_per_s": num_envs * steps / statistics.median(turn.wall_s for turn in own),
            "ratio": median_ratio([turn.wall_s for turn in base], [turn.wall_s for turn in own]),
            "cpu_ratio": median_ratio(cpu_s, [turn.cpu_s for turn in base]),
            "cpu_us": statistics.median(cpu_s) / num_envs / steps * 1e6,
        }
    arguments = f", {json.dumps(kwargs)}" if kwargs else ""
    games = "game" if num_envs == 1 else "games"
    return Table(f"{task}, {num_envs}{arguments}", f"{task}, {num_envs} {games}{arguments}", rows)


def turn_of(vecenv: Any, steps: int) -> Callable[[], Turn]:
    """Return a function that takes this many steps, from where the last turn ended."""
    vecenv.action_space.seed(0)
    actions = [vecenv.action_space.sample() for _ in range(ACTIONS)]
    vecenv.reset(0)

    def turn() -> Turn:
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        for step in range(steps):
            vecenv.step(actions[step % ACTIONS])
        return Turn(time.perf_counter() - wall_s, time.process_time() - cpu_s)

    return turn


if __name__ == "__main__":
    main()
