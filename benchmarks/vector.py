"""Compare the throughput of vectorizers on two cores; print the tables of docs/benchmarks.md.

    make bench      (or: python benchmarks/vector.py --only cartpole-8 nethack-8 --rounds 5)

The contenders of a table exist at the same time; all but one are idle. Columns, medians over the
rounds: environment steps per second; the ratio to the bound, which is two processes that each step
one bare environment in a loop without communication; the ratio to the best alternative; CPU seconds
per second of the caller and all workers (below 2 for the bound means that other programs used the
machine); CPU time per environment step, as a ratio to the bound's. Ratios are taken per round. "-"
marks contenders that were left out: Gymnasium's and Stable-Baselines3's processes, one per
environment, above 8 environments unless --all is given; packages that are not installed; packages
that do not support the action space.

A policy is simulated by CPU time in the caller for each received batch; the bound spends it once
for all environments, split between its processes.
"""

import argparse
import itertools
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from cells import CELLS, Cell, burn
from gymnasium.spaces import Dict
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from turns import cpu_s, descendants, median_ratio, rest, take_turns

import pufferlib.vector
from pufferlib.exceptions import ArgumentError

WORKERS = 2
FEW = 8  # the most environments for which one process each is reasonable
LOOP = 64  # steps of a bare loop between two readings of the clock
Run = Callable[[float], float]  # takes a duration in seconds; returns environment steps per second


# Contenders: each function creates one for a cell, and returns its functions to run and to close.


class LeftOutError(Exception):
    """A contender cannot take part."""


def running(step: Callable[[], Any], steps: int) -> Run:
    """Return a function that calls `step`, which takes `steps` environment steps, repeatedly."""

    def run(seconds: float) -> float:
        calls, at_once, began_s = 0, 1, time.perf_counter()
        while True:
            for _ in range(at_once):
                step()
            calls += at_once
            elapsed_s = time.perf_counter() - began_s
            if elapsed_s >= seconds:
                return calls * steps / elapsed_s
            if elapsed_s < seconds / 100:  # reads the clock about a hundred times
                at_once *= 2

    return run


def drawn(space: gymnasium.Space[Any]) -> Iterator[Any]:
    """Return an endless cycle of actions sampled in advance."""
    space.seed(0)
    return itertools.cycle([space.sample() for _ in range(LOOP)])


def stepping(take: Callable[[Any], Any], space: gymnasium.Space[Any], cell: Cell) -> Run:
    """Return a function that steps all environments with one call of `take`."""
    actions = drawn(space)

    def step() -> None:
        take(next(actions))
        if cell.policy_s:
            burn(cell.policy_s)

    return running(step, cell.num_envs)


def one_bare(cell: Cell, seed: int = 0) -> tuple[Run, Callable[[], None]]:
    env = cell.creator()
    env.reset(seed=seed)
    if cell.has_agents:

        def step() -> None:
            for _ in range(LOOP):
                env.step(dict.fromkeys(env.agents, 1))
                if not env.agents:
                    env.reset()
    else:
        actions = list(itertools.islice(drawn(env.action_space), LOOP))

        def step() -> None:
            for action in actions:
                _, _, terminated, truncated, _ = env.step(action)
                if terminated or truncated:
                    env.reset()
            if cell.policy_s:
                burn(cell.policy_s * LOOP / cell.num_envs)

    return running(step, LOOP), env.close


def bound(cell: Cell) -> tuple[Run, Callable[[], None]]:
    def serve(connection: Any, seed: int) -> None:
        run, _ = one_bare(cell, seed)
        while (seconds := connection.recv()) is not None:
            connection.send(run(seconds))

    context, connections, processes = multiprocessing.get_context("fork"), [], []
    for seed in range(WORKERS):
        connection, theirs = context.Pipe()
        connections.append(connection)
        processes.append(context.Process(target=serve, args=(theirs, seed), daemon=True))
        processes[-1].start()

    def send(message: float | None) -> None:
        for connection in connections:
            connection.send(message)

    def run(seconds: float) -> float:
        send(seconds)
        return sum(connection.recv() for connection in connections)

    def close() -> None:
        send(None)
        for process in processes:
            process.join()

    return run, close


def ours(cell: Cell, **kwargs: Any) -> tuple[Run, Callable[[], None]]:
    try:
        envs = pufferlib.vector.make(cell.creator, num_envs=cell.num_envs, **kwargs)
    except ArgumentError as error:
        raise LeftOutError("this version does not take these arguments") from error
    envs.reset(0)
    return stepping(envs.step, envs.action_space, cell), envs.close


def our_pool(cell: Cell) -> tuple[Run, Callable[[], None]]:
    envs = pufferlib.vector.make(
        cell.creator,
        num_envs=cell.num_envs,
        backend="Multiprocessing",
        num_workers=WORKERS,
        batch_size=cell.num_envs // 2,
    )
    envs.reset(0)
    actions = drawn(envs.action_space)

    def step() -> None:
        for _ in range(2):
            if cell.policy_s:
                burn(cell.policy_s)
            envs.send(next(actions))
            envs.recv()

    run = running(step, cell.num_envs)

    def run_evenly(seconds: float) -> float:
        step()  # a turn starts as it ends: one half received, the other half stepping
        return run(seconds)

    return run_evenly, envs.close


def of_gymnasium(cell: Cell, kind: Any, **kwargs: Any) -> tuple[Run, Callable[[], None]]:
    creators = [cell.creator] * cell.num_envs
    envs = kind(creators, autoreset_mode=AutoresetMode.SAME_STEP, **kwargs)
    envs.reset(seed=0)
    return stepping(envs.step, envs.action_space, cell), envs.close


def of_sb3(cell: Cell, kind: str, **kwargs: Any) -> tuple[Run, Callable[[], None]]:
    try:
        from stable_baselines3.common import vec_env
    except ImportError as error:
        raise LeftOutError("it is not installed") from error
    envs = getattr(vec_env, kind)([cell.creator] * cell.num_envs, **kwargs)
    if isinstance(envs.action_space, Dict):
        envs.close()
        raise LeftOutError("its algorithms take no nested actions")
    envs.seed(0)
    envs.reset()
    space = gymnasium.vector.utils.batch_space(envs.action_space, cell.num_envs)
    return stepping(envs.step, space, cell), envs.close


def pettingzoo_loop(cell: Cell) -> tuple[Run, Callable[[], None]]:
    """Step each environment in a loop, and fill arrays with a place for every agent."""
    envs = [cell.creator() for _ in range(cell.num_envs)]
    agents = envs[0].possible_agents
    shape = len(envs), len(agents)
    observations = {
        key: np.zeros((*shape, *space.shape), space.dtype)
        for key, space in envs[0].observation_space(agents[0]).spaces.items()
    }
    rewards, ended, cut = np.zeros(shape), np.zeros(shape, bool), np.zeros(shape, bool)
    for env in envs:
        env.reset()

    def step(actions: Any) -> None:
        for array in (*observations.values(), rewards, ended, cut):
            array.fill(0)
        for i, env in enumerate(envs):
            chosen = {agent: actions[i, j] for j, agent in enumerate(agents) if agent in env.agents}
            shown, rewarded, ends, cuts, _ = env.step(chosen)
            if not env.agents:
                shown, _ = env.reset()
            for j, agent in enumerate(agents):
                if agent in rewarded:
                    rewards[i, j] = rewarded[agent]
                    ended[i, j], cut[i, j] = ends[agent], cuts[agent]
                if agent in env.agents:
                    for key, value in shown[agent].items():
                        observations[key][i, j] = value

    space = gymnasium.spaces.MultiDiscrete(np.full(shape, envs[0].action_space(agents[0]).n))
    return stepping(step, space, cell), lambda: None


MULTIPROCESSING = {"backend": "Multiprocessing", "num_workers": WORKERS}
OURS: dict[str, Callable[[Cell], Any]] = {
    "bound": bound,
    "one bare": one_bare,
    "Serial": partial(ours, backend="Serial"),
    "Multiprocessing": partial(ours, **MULTIPROCESSING),
    "Multiprocessing, caller steps": partial(ours, **MULTIPROCESSING, caller_steps=True),
    "Multiprocessing, pool of half": our_pool,
}
ALTERNATIVES: dict[str, Callable[[Cell], Any]] = {
    "Gymnasium Sync": partial(of_gymnasium, kind=SyncVectorEnv),
    "Gymnasium Async": partial(of_gymnasium, kind=AsyncVectorEnv, shared_memory=True),
    "SB3 Dummy": partial(of_sb3, kind="DummyVecEnv"),
    # Fork starts faster than SB3's default, forkserver, and steps at the same speed.
    "SB3 Subproc": partial(of_sb3, kind="SubprocVecEnv", start_method="fork"),
}
ONE_PROCESS_EACH = ("Gymnasium Async", "SB3 Subproc")
FOR_AGENTS: dict[str, Callable[[Cell], Any]] = {"PettingZoo in a loop": pettingzoo_loop}


# Turns.


class Turn(NamedTuple):
    """The measurements of a turn."""

    steps_per_s: float
    cpus: float
    cpu_s_a_step: float


def take_turn(run: Run, pids: list[int], seconds: float) -> Turn:
    """Measure one contender while all others rest."""
    rest(descendants())
    began_s, began_cpu_s = time.perf_counter(), cpu_s(pids)
    rate = run(seconds)
    used_s, elapsed_s = cpu_s(pids) - began_cpu_s, time.perf_counter() - began_s
    return Turn(rate, used_s / elapsed_s, used_s / (rate * elapsed_s))


def compare(cell: Cell, rounds: int, seconds: float, at_any_number: bool) -> dict[str, list[Turn]]:
    """Return the turns of a cell's contenders; an empty list for contenders left out."""
    turns: dict[str, Callable[[], Turn]] = {}
    contenders = OURS | alternatives(cell)
    with ExitStack() as stack:
        for name, make in contenders.items():
            if name in ONE_PROCESS_EACH and cell.num_envs > FEW and not at_any_number:
                continue
            before = descendants()
            try:
                run, close = make(cell)
            except LeftOutError:
                continue
            stack.callback(close)
            pids = [os.getpid(), *(descendants() - before)]
            turns[name] = partial(take_turn, run, pids, seconds)
        results = take_turns(turns, rounds)
    return {name: results.get(name, []) for name in contenders}


def alternatives(cell: Cell) -> dict[str, Callable[[Cell], Any]]:
    """Return the alternatives for a cell."""
    return FOR_AGENTS if cell.has_agents else ALTERNATIVES


def table(cell: Cell, results: dict[str, list[Turn]]) -> Iterator[str]:
    """Yield the lines of a cell's table, in the form of Markdown."""
    yield "| | steps/s | of the bound | of the best alternative | CPU s/s | CPU a step |"
    yield "|---|---|---|---|---|---|"
    rates = {name: [turn.steps_per_s for turn in turns] for name, turns in results.items()}
    costs = {name: [turn.cpu_s_a_step for turn in turns] for name, turns in results.items()}
    medians = {name: statistics.median(rates[name]) for name in rates if rates[name]}
    best = max(medians.keys() & alternatives(cell), key=medians.__getitem__)
    for name, turns in results.items():
        if not turns:
            yield f"| {name} |" + " - |" * 5
            continue
        yield (
            f"| {name} | {medians[name]:,.0f} | {median_ratio(rates[name], rates['bound']):.2f} | "
            f"{median_ratio(rates[name], rates[best]):.2f} | "
            f"{statistics.median(turn.cpus for turn in turns):.2f} | "
            f"{median_ratio(costs[name], costs['bound']):.2f} |"
        )


def main() -> None:
    """Run the selected cells and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=CELLS, metavar="NAME", help="these cells")
    parser.add_argument("--list", action="store_true", help="print the names of the cells")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each contender")
    parser.add_argument("--seconds", type=float, default=0.5, help="duration of a turn")
    parser.add_argument(
        "--all", action="store_true", help="more cells, and a process per environment at any number"
    )
    arguments = parser.parse_args()
    names = arguments.only or [n for n, cell in CELLS.items() if arguments.all or not cell.is_extra]
    if arguments.list:
        print("\n".join(CELLS))
        return
    for cell in (CELLS[name] for name in names):
        print(f"**{cell.title}, {cell.num_envs} environments** (`{cell.name}`)\n")
        try:
            cell.creator().close()
        except ImportError as error:
            print(f"Left out: {error}\n")
            continue
        results = compare(cell, arguments.rounds, arguments.seconds, arguments.all)
        print("\n".join(table(cell, results)), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
