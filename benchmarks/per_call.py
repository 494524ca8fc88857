"""Measure what a call of `Serial` adds to the environments' own steps; print a table of the docs.

    python benchmarks/per_call.py --rounds 21

CPU time of a step of all environments in microseconds, which other programs on the machine affect
less than time by the clock: of the bare environments in a loop, of `Serial`, and of the fastest
alternative in one process. The columns are those of benchmarks/emulation.py. The first row's ratio
to the last is the most that any vectorizer can reach in one process.
"""

import argparse
import itertools
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import record
from cells import CELLS, Cell
from contenders import drawn
from emulation import medians
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from tables import Table
from turns import take_turns

import pufferlib.vector

CALLS = 50


def main() -> None:
    """Measure the cells of cheap steps."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=21, help="turns of each contender")
    record.add_argument(parser)
    arguments = parser.parse_args()
    recorder = record.Recorder("per-call", arguments.record)
    for cell in (CELLS["cartpole-2"], CELLS["cartpole-8"], CELLS["agents-16-8"]):
        turns = {name: partial(us_of_cpu, call) for name, call in contenders(cell).items()}
        title = f"{cell.title}, {cell.num_envs} environments"
        recorder.add(Table(cell.name, title, medians(take_turns(turns, arguments.rounds))))


def us_of_cpu(call: Callable[[], object]) -> float:
    """Return the microseconds of CPU time per call."""
    began_s = time.thread_time()
    for _ in range(CALLS):
        call()
    return (time.thread_time() - began_s) / CALLS * 1e6


def contenders(cell: Cell) -> dict[str, Callable[[], Any]]:
    """Return functions that step all environments of a cell."""
    serial = pufferlib.vector.make(cell.creator, num_envs=cell.num_envs, backend="Serial")
    serial.reset(0)
    actions = drawn(serial.action_space)
    found = {"bare": bare(cell), "Serial": lambda: serial.step(next(actions))}
    if not cell.has_agents:
        mode = AutoresetMode.SAME_STEP
        sync = SyncVectorEnv([cell.creator] * cell.num_envs, autoreset_mode=mode)
        sync.reset(seed=0)
        found["Gymnasium Sync"] = lambda: sync.step(next(actions))
    return found


def bare(cell: Cell) -> Callable[[], None]:
    """Return a function that steps bare environments in a loop."""
    envs = [cell.creator() for _ in range(cell.num_envs)]
    for seed, env in enumerate(envs):
        env.reset(seed=seed)

    def step_agents() -> None:
        for env in envs:
            env.step(dict.fromkeys(env.agents, 1))
            if not env.agents:
                env.reset()

    def step() -> None:
        for env, action in zip(envs, next(actions), strict=True):
            _, _, terminated, truncated, _ = env.step(action)
            if terminated or truncated:
                env.reset()

    if cell.has_agents:
        return step_agents
    space = envs[0].action_space
    space.seed(0)
    batches = [[int(space.sample()) for _ in envs] for _ in range(64)]
    actions = itertools.cycle(batches)
    return step


if __name__ == "__main__":
    main()
