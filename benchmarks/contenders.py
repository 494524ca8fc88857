"""The contenders of benchmarks/vector.py: each function creates one for a cell.

They return a function that runs the contender for some seconds, and one that closes it.

A policy is simulated by CPU time in the caller for each received batch; the bound spends it once
for all environments, split between its processes.
"""

import itertools
import multiprocessing
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import gymnasium
import numpy as np
from cells import Cell, burn
from gymnasium.spaces import Dict
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

import pufferlib.vector
from pufferlib.exceptions import ArgumentError

WORKERS = 2
FEW = 8  # the most environments for which one process each is reasonable
LOOP = 64  # steps of a bare loop between two readings of the clock
Run = Callable[[float], float]  # takes a duration in seconds; returns environment steps per second


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


def bound(cell: Cell, num_workers: int = WORKERS) -> tuple[Run, Callable[[], None]]:
    def serve(connection: Any, seed: int) -> None:
        run, _ = one_bare(cell, seed)
        while (seconds := connection.recv()) is not None:
            connection.send(run(seconds))

    context, connections, processes = multiprocessing.get_context("fork"), [], []
    for seed in range(num_workers):
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


def our_pool(cell: Cell, num_workers: int = WORKERS) -> tuple[Run, Callable[[], None]]:
    envs = pufferlib.vector.make(
        cell.creator,
        num_envs=cell.num_envs,
        backend="Multiprocessing",
        num_workers=num_workers,
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


def our_native(cell: Cell, num_workers: int) -> tuple[Run, Callable[[], None]]:
    """Step as many games with the family's native form, of which each worker has one."""
    make = partial(cell.native, num_envs=cell.num_envs // num_workers)
    workers = {**MULTIPROCESSING, "caller_steps": True} if num_workers > 1 else {}
    envs = pufferlib.vector.make(make, num_envs=num_workers, **workers)
    envs.reset(0)
    return stepping(envs.step, envs.action_space, cell), envs.close


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
NATIVE: dict[str, Callable[[Cell], Any]] = {
    "Serial, native": partial(our_native, num_workers=1),
    "Multiprocessing, native, caller steps": partial(our_native, num_workers=WORKERS),
}
FOR_AGENTS: dict[str, Callable[[Cell], Any]] = {"PettingZoo in a loop": pettingzoo_loop}


def contenders(cell: Cell) -> dict[str, Callable[[Cell], Any]]:
    """Return the contenders for a cell: ours, then the alternatives."""
    return OURS | (NATIVE if cell.native else {}) | alternatives(cell)


def alternatives(cell: Cell) -> dict[str, Callable[[Cell], Any]]:
    """Return the alternatives for a cell."""
    return FOR_AGENTS if cell.has_agents else ALTERNATIVES
