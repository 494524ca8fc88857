"""Measure the throughput of one environment, compared with Gymnasium and Stable-Baselines3.

It is measured bare, emulated, on each backend, and with the other vectorizers. All contenders exist
at the same time and run in turns of about a second. Other load on the machine then affects all of
them equally, so that the ratios are more reliable than the rates.
"""

import importlib.util
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np

from pufferlib.annotations import Action, EnvCreator, GymnasiumEnv, Space, UserEnv
from pufferlib.emulation import GymnasiumPufferEnv, native
from pufferlib.vector import VectorEnv, make
from pufferlib.wrappers import EpisodeStats

_ACTIONS = 64  # sampled in advance, and repeated
_Stepper = Callable[[], int]


@dataclass(frozen=True)
class Row:
    """The result of one contender.

    Attributes:
        name: the contender.
        steps_per_second: agents' steps per second, median over the rounds.
        ratio: its rate divided by that of the first contender, median over the rounds.
    """

    name: str
    steps_per_second: float
    ratio: float


def compare(
    creator: EnvCreator,
    num_envs: int = 8,
    num_workers: int | None = None,
    rounds: int = 5,
    seconds: float = 1.0,
    is_one_per_process: bool = False,
) -> list[Row]:
    """Return the throughput of an environment's contenders, from one interleaved run.

    The first is one environment in a loop: the environment inside the emulation, without our
    statistics, or the `PufferEnv` itself. Our vectorizers, Gymnasium's and Stable-Baselines3's step
    it with statistics. The first two rows step the same instance, each from the state in which the
    other left it.

    Args:
        creator: returns a PufferEnv, GymnasiumPufferEnv or PettingZooPufferEnv.
        num_envs: environments per vectorizer.
        num_workers: processes of our backend, None for the usable cores; the other vectorizers run
            one process per environment.
        rounds: number of turns per contender.
        seconds: duration of a turn.
        is_one_per_process: the package refuses a second environment in a process, so there are as
            many workers as environments, and no vectorizer that loops over them.
    """
    with ExitStack() as stack:
        steppers = _contenders(creator, num_envs, num_workers, is_one_per_process, stack)
        rates: dict[str, list[float]] = {name: [] for name in steppers}
        for stepper in steppers.values():
            _rate(stepper, seconds / 4)  # warm-up
        for _ in range(rounds):
            for name, stepper in steppers.items():
                rates[name].append(_rate(stepper, seconds))
    first = next(iter(rates.values()))
    return [
        Row(
            name,
            statistics.median(values),
            statistics.median(value / base for value, base in zip(values, first, strict=True)),
        )
        for name, values in rates.items()
    ]


def _rate(stepper: _Stepper, seconds: float) -> float:
    steps, began_s = 0, time.perf_counter()
    while True:
        steps += stepper()
        elapsed_s = time.perf_counter() - began_s
        if elapsed_s >= seconds:
            return steps / elapsed_s


def _contenders(
    creator: EnvCreator,
    num_envs: int,
    num_workers: int | None,
    is_one_per_process: bool,
    stack: ExitStack,
) -> dict[str, _Stepper]:
    """Return the contenders in the order of the table.

    Contenders with processes are made first: threads that an environment starts in this process,
    such as Java's, would break their forks, and some packages allow only one environment per
    process.
    """
    workers = num_envs if is_one_per_process else num_workers
    parallel = make(creator, num_envs=num_envs, num_workers=workers, backend="Multiprocessing")
    stack.callback(parallel.close)
    with closing(creator()) as env:
        is_gymnasium = isinstance(env, GymnasiumPufferEnv)
    apart = _alternatives(creator, num_envs, stack, in_processes=True) if is_gymnasium else {}
    probe = creator()
    stack.callback(probe.close)
    if is_gymnasium:
        found = {"bare": _single(_without_statistics(probe)), "emulated": _single(probe)}
    else:
        found = {"one environment": _native(probe)}
    here: dict[str, _Stepper] = {}
    if not is_one_per_process:
        serial = make(creator, num_envs=num_envs, backend="Serial")
        stack.callback(serial.close)
        found["Serial"] = _ours(serial)
        here = _alternatives(creator, num_envs, stack, in_processes=False) if is_gymnasium else {}
    found[f"Multiprocessing, {parallel.num_workers} workers"] = _ours(parallel)
    return {**found, **here, **apart}


def _without_statistics(env: GymnasiumPufferEnv) -> GymnasiumEnv:
    """Return the environment inside `env`, with its preprocessing and without our statistics."""
    return env.env.env if isinstance(env.env, EpisodeStats) else env.env


def _alternatives(
    creator: EnvCreator, num_envs: int, stack: ExitStack, in_processes: bool
) -> dict[str, _Stepper]:
    """Return Gymnasium's vectorizer, and Stable-Baselines3's if that is installed.

    Args:
        creator: returns a GymnasiumPufferEnv; the vectorizers get the environment it wraps.
        num_envs: environments per vectorizer.
        stack: closes them.
        in_processes: return the vectorizers with one process per environment, else those that loop
            over environments.
    """
    bare = [lambda: creator().env] * num_envs
    same_step = gymnasium.vector.AutoresetMode.SAME_STEP
    envs: gymnasium.vector.VectorEnv[Any, Any, Any]
    if in_processes:  # forkserver, as in Stable-Baselines3: Java does not survive a fork
        envs = gymnasium.vector.AsyncVectorEnv(bare, autoreset_mode=same_step, context="forkserver")
    else:
        envs = gymnasium.vector.SyncVectorEnv(bare, autoreset_mode=same_step)
    stack.callback(envs.close)
    envs.reset(seed=0)
    name = f"gymnasium {type(envs).__name__}"
    found = {name: _stepping(envs.step, envs.action_space, num_envs)}
    if importlib.util.find_spec("stable_baselines3") is None:
        return found
    from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv

    sb3_envs = SubprocVecEnv(bare) if in_processes else DummyVecEnv(bare)
    stack.callback(sb3_envs.close)
    sb3_envs.reset()
    space = gymnasium.vector.utils.batch_space(sb3_envs.action_space, num_envs)
    found[f"SB3 {type(sb3_envs).__name__}"] = _stepping(sb3_envs.step, space, num_envs)
    return found


def _single(env: GymnasiumEnv) -> _Stepper:
    """Return a function that steps one environment, and resets it when an episode ends."""
    env.reset(seed=0)
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(_ACTIONS)]

    def step() -> int:
        for action in actions:
            _, _, terminated, truncated, _ = env.step(action)
            if terminated or truncated:
                env.reset()
        return _ACTIONS

    return step


def _native(env: UserEnv) -> _Stepper:
    rows = native(env)
    rows.reset(0)
    space = gymnasium.vector.utils.batch_space(rows.single_action_space, rows.num_agents)
    return _stepping(rows.step, space, rows.num_agents)


def _ours(vecenv: VectorEnv) -> _Stepper:
    vecenv.reset(0)
    return _stepping(vecenv.step, vecenv.action_space, vecenv.num_agents)


def _stepping(take: Callable[[Action], object], space: Space, rows: int) -> _Stepper:
    """Return a function that steps a batch with actions sampled in advance."""
    space.seed(0)
    actions = [np.asarray(space.sample()) for _ in range(_ACTIONS)]

    def step() -> int:
        for action in actions:
            take(action)
        return _ACTIONS * rows

    return step
